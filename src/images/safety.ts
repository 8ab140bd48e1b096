/**
 * May this image be used? The rules over what the inspection of its content found; pure.
 * Source: images, "Raw conversion and safety" (ironic/common/images.py restated; CVE-2024-44082, CVE-2024-47211).
 */
import { agrees, type DiskInspection, isPermitted } from '#lib/disk-format.ts'
import { ImageRefused } from './faults.ts'

/** @throws ImageRefused when the image is dangerous, of a format that is not permitted, or not what was declared */
export function refuseUnfit(
  { format, dangers }: DiskInspection,
  { declared, permitted, deep }: { declared: string | null; permitted: readonly string[]; deep: boolean },
  shown: string,
): void {
  if (!deep) return
  if (dangers.length > 0) {
    throw new ImageRefused(
      `Cannot use image ${shown}: it ${dangers.join(', and ')}; expected a plain image in one file, as qemu-img convert makes it`,
    )
  }
  if (!isPermitted(format, permitted)) {
    throw new ImageRefused(
      `Cannot use image ${shown}: its format is ${format}; expected one of [conductor] permitted_image_formats (${permitted.join(', ')})`,
    )
  }
  if (!agrees(declared, format)) {
    throw new ImageRefused(
      `Cannot use image ${shown}: its content is ${format}, but image_disk_format says ${declared}; expected both to agree`,
    )
  }
}

/** @throws ImageRefused when the image of a whole disk is to become one partition: nothing could boot from it */
export function refuseDiskInPartition(
  format: string | null,
  { image_type: type }: { readonly image_type?: string | null | undefined },
  shown: string,
): void {
  if (type !== 'partition' || (format !== 'gpt' && format !== 'iso')) return
  const found = format === 'gpt' ? 'has a partition table' : 'is an ISO image'
  throw new ImageRefused(
    `Cannot use image ${shown} as a partition image: it ${found}; expected a file system, or image_type whole-disk and neither kernel nor ramdisk`,
  )
}
