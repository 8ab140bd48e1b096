/**
 * Decides whether a downloaded image may be handed to a converter: the content says what it is, not the declaration, and
 * an image that leads out of its own file is refused.
 *
 * Source: openstack/ironic-python-agent `qemu_img.py`, `extensions/standby.py` (what must agree with what).
 */
import { open } from 'node:fs/promises'
import { agrees, type DiskFormat, inspectDisk, isPermitted } from '#lib/disk-format.ts'
import { AgentFault } from '../errors.ts'
import type { Options } from '../options.ts'

export interface ImageFacts {
  format: DiskFormat
  /** Bytes of the disk it describes. */
  virtualSizeBytes: number
}

/**
 * @param declared `disk_format` of image_info; null, empty and `unknown` declare nothing
 * @throws AgentFault InvalidImage with the reason
 */
export async function inspectImage(file: string, declared: string | null, options: Options): Promise<ImageFacts> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const readAt = async (offset: number, length: number) => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset)
      return buffer.subarray(0, bytesRead)
    }
    const { format, virtualSizeBytes, dangers } = await inspectDisk(readAt, size)
    if (options.deepInspection) {
      if (dangers.length > 0)
        throw insecure(`it ${dangers.join(', ')}; expected a plain image in one file, as qemu-img convert makes it`)
      if (!isPermitted(format, options.permittedImageFormats)) {
        throw insecure(`its format ${format} is not among the permitted ${options.permittedImageFormats.join(', ')}`)
      }
      if (!agrees(declared, format)) {
        throw insecure(`it is declared as ${declared} but is ${format}; expected image_disk_format to say what it is`)
      }
    }
    return { format, virtualSizeBytes }
  } finally {
    await handle.close()
  }
}

function insecure(why: string): AgentFault {
  return new AgentFault('InvalidImage', `Security: the image is refused: ${why}`)
}
