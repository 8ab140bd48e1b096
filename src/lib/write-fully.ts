/** Writing all of a buffer at a place in a file: the kernel may take less at a time. */
import type { FileHandle } from 'node:fs/promises'

/** @throws Error when the kernel takes nothing more without saying why; what it says otherwise */
export async function writeFully(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done)
    if (bytesWritten === 0) throw new Error(`nothing could be written at byte ${at + done}`)
    done += bytesWritten
  }
}
