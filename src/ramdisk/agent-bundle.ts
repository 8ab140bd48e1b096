/**
 * Packs the agent into one file for the ramdisk. The same sources give the same bytes, whatever folder they lie in; the
 * file needs nothing but Node.
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export interface AgentBundle {
  file: string
  sizeBytes: number
  /** Hex, of the file. */
  sha256: string
}

/** @param options.outFile where the bundle goes; the ramdisk has it as /usr/lib/ferrite/agent.mjs */
export async function bundleAgent({ outFile }: { outFile: string }): Promise<AgentBundle> {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
  const file = resolve(outFile)
  await mkdir(dirname(file), { recursive: true })
  await build({
    absWorkingDir: root,
    entryPoints: ['src/agent/start.ts'],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    minify: true,
    keepNames: true,
    legalComments: 'eof',
    logLevel: 'error',
  })
  const bytes = await readFile(file)
  return { file, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}
