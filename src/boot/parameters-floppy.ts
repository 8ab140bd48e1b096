/**
 * A floppy image with kernel parameters, for ramdisks on ISO images that cannot carry them: a FAT file system of 1440 KiB
 * with `parameters.txt`, a `key=value` to a line. Source: boot facts, "ISO build" (ironic/common/images.py restated).
 */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { IsoNotBuilt } from './iso.ts'

/** By which ramdisks know it. */
const label = 'ir-vfd-dev'

/** Writes the image to `path`, which appears when it is whole. @throws IsoNotBuilt */
export async function parametersFloppy(path: string, parameters: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const work = await mkdtemp(join(dirname(path), '.floppy-'))
  try {
    const text = join(work, 'parameters.txt')
    await writeFile(
      text,
      Object.entries(parameters)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    )
    const image = join(work, 'floppy.img')
    await run('mformat', ['-C', '-f', '1440', '-v', label, '-i', image, '::'])
    await run('mcopy', ['-i', image, text, '::/parameters.txt'])
    await rename(image, path)
  } catch (error) {
    throw new IsoNotBuilt(
      `Cannot build a floppy with parameters: ${messageOf(error)}; mtools is needed (Debian: apt install mtools)`,
      { cause: error },
    )
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
