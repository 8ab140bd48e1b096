/** What is on a machine's disk, looked at in the file that holds it, while the machine is off. */
import { open } from 'node:fs/promises'
import { run } from '#lib/run.ts'

/** Writes a GPT with one partition, so that cleaning has something to remove. */
export async function writePartitionTable(file: string): Promise<void> {
  await run('sfdisk', ['--quiet', file], { input: 'label: gpt\nstart=2048\n' })
}

/** Whether there is a partition table: an MBR, a GPT, or a GPT's copy at the end. */
export async function holdsPartitions(file: string): Promise<boolean> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const read = async (at: number, length: number) =>
      (await handle.read(Buffer.alloc(length), 0, length, at)).buffer.toString('latin1')
    const [mbr, gpt, copy] = [await read(510, 2), await read(512, 8), await read(size - 512, 8)]
    return mbr === '\x55\xaa' || gpt === 'EFI PART' || copy === 'EFI PART'
  } finally {
    await handle.close()
  }
}
