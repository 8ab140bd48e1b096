/**
 * The Node that goes into the ramdisk: the one that was given, without what nothing there reads. It is tried before it is
 * packed, where this machine can run it, and packed as it was given when it fails.
 */
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { messageOf } from '#lib/fault.ts'
import { CommandFailed, run } from '#lib/run.ts'
import { blankLocales } from './icu-data.ts'

export interface SlimmedNode {
  /** The Node to pack. */
  file: string
  /** Bytes that pack to nothing now. */
  blankedBytes: number
}

/**
 * @param options.outFile where the smaller one goes
 * @param options.runsHere whether it is made for this machine's processor
 * @param options.strip the program that takes symbols away, of the same architecture
 */
export async function slimNode(options: {
  nodeFile: string
  outFile: string
  runsHere: boolean
  strip: string
  log: (line: string) => void
}): Promise<SlimmedNode> {
  const { nodeFile, outFile, strip, log } = options
  await stripped({ nodeFile, outFile, strip, log })
  const program = await readFile(outFile)
  const blankedBytes = blankLocales(program)
  await writeFile(outFile, program, { mode: 0o755 })
  if (!options.runsHere) return { file: outFile, blankedBytes }
  try {
    await run(outFile, ['--eval', trial])
    return { file: outFile, blankedBytes }
  } catch (error) {
    log(`packing Node as it is, for without its locales it fails: ${messageOf(error)}`)
    return { file: nodeFile, blankedBytes: 0 }
  }
}

/** What the agent and Node itself ask of ICU, and what they must get as ever. */
export const trial = `
const assert = require('node:assert/strict')
const date = new Date(Date.UTC(2026, 0, 31, 12))
assert.equal(new Intl.DateTimeFormat('en-US', { timeZone: 'Europe/Rome', dateStyle: 'long' }).format(date), 'January 31, 2026')
assert.equal((1234.5).toLocaleString(), '1,234.5')
assert.ok(date.toLocaleString('de-DE').includes('2026'))
assert.equal(new URL('http://b\\u00fccher.example/').hostname, 'xn--bcher-kva.example')
assert.equal('\\ufb01'.normalize('NFKC'), 'fi')
assert.match('\\u00e9', /^\\p{L}$/u)
assert.ok('a'.localeCompare('b') < 0)
assert.equal(new TextDecoder('utf-16le').decode(new Uint8Array([0xe9, 0])), '\\u00e9')
assert.equal(new TextDecoder('latin1').decode(new Uint8Array([0xe9])), '\\u00e9')
`

/** Node comes with symbols, a fifth of its size, that nothing in the ramdisk reads. */
async function stripped({ nodeFile, outFile, strip, log }: Omit<Parameters<typeof slimNode>[0], 'runsHere'>) {
  try {
    await run(strip, ['-o', outFile, nodeFile])
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
    log(`packing Node with its symbols: ${error.message}`)
    await copyFile(nodeFile, outFile)
  }
}
