/**
 * Programs that stand in for tools of the ramdisk whose hardware is not there: put first on PATH for as long as a test
 * runs. Each is a script for this Node; its state is a file of JSON beside it, and every call is noted. For tests.
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

export interface FakePrograms {
  readonly folder: string
  /**
   * @param script has `args` (what it was called with), `state` (kept between calls), `out(text)` and `fail(text, status?)`
   * @param state what it starts with
   */
  add(name: string, script: string, state?: Record<string, unknown>): void
  state(name: string): Record<string, unknown>
  /** Arguments of every call of any of them, after its name, in order. */
  calls(): string[]
  remove(): void
}

export function fakePrograms(): FakePrograms {
  const folder = mkdtempSync(join(tmpdir(), 'ferrite-fakes-'))
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const before = process.env.PATH ?? ''
  process.env.PATH = `${bin}${delimiter}${before}`
  const stateFile = (name: string) => join(folder, `${name}.json`)
  const log = join(folder, 'calls')
  return {
    folder,
    add: (name, script, state = {}) => {
      writeFileSync(stateFile(name), JSON.stringify(state))
      writeFileSync(join(bin, name), program(name, { script, stateFile: stateFile(name), log }))
      chmodSync(join(bin, name), 0o755)
    },
    state: name => JSON.parse(readFileSync(stateFile(name), 'utf8')),
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []),
    remove: () => {
      process.env.PATH = before
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function program(name: string, { script, stateFile, log }: { script: string; stateFile: string; log: string }): string {
  return `#!${process.execPath}
const { appendFileSync, closeSync, openSync, readFileSync, writeFileSync, writeSync } = require('node:fs')
const { basename } = require('node:path')
const args = process.argv.slice(2)
appendFileSync(${JSON.stringify(log)}, [${JSON.stringify(name)}, ...args].join(' ') + '\\n')
const state = JSON.parse(readFileSync(${JSON.stringify(stateFile)}, 'utf8'))
const save = () => writeFileSync(${JSON.stringify(stateFile)}, JSON.stringify(state))
const out = text => writeSync(1, text)
const fail = (text, status = 1) => { save(); writeSync(2, text + '\\n'); process.exit(status) }
const fill = (device, byte) => {
  const handle = openSync(device, 'r+')
  const block = Buffer.alloc(65536, byte)
  const sizeBytes = 512 * Number(readFileSync('/sys/class/block/' + basename(device) + '/size', 'utf8'))
  for (let at = 0; at < sizeBytes; at += block.length) writeSync(handle, block, 0, Math.min(block.length, sizeBytes - at), at)
  closeSync(handle)
}
${script}
save()
`
}
