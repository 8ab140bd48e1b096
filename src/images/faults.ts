/** What can be wrong with an image. Messages name the image and what to do; URLs lose credentials and queries first. */
import { Fault } from '#lib/fault.ts'

/** The image cannot be fetched: no answer, a status that is no success, or a transfer that ends early. */
export class ImageUnreachable extends Fault {
  readonly status = 400
  readonly code = 'image-unreachable'
}

/** The content is not what the checksum says. */
export class ImageChecksumMismatch extends Fault {
  readonly status = 400
  readonly code = 'image-checksum-mismatch'
}

/** The content is of a format that is not permitted, not the declared one, or dangerous to open. */
export class ImageRefused extends Fault {
  readonly status = 400
  readonly code = 'image-refused'
}

/** The file system of the image store has no room, even after dropping what nobody uses. */
export class ImageStoreFull extends Fault {
  readonly status = 507
  readonly code = 'image-store-full'
}

/** The image could not be converted or stored. */
export class ImageNotPrepared extends Fault {
  readonly status = 500
  readonly code = 'image-not-prepared'
}

export const imageFaults = { ImageUnreachable, ImageChecksumMismatch, ImageRefused, ImageStoreFull, ImageNotPrepared }

/** A URL fit for messages and logs. */
export function shownUrl(url: string | URL): string {
  const parsed = URL.parse(String(url))
  if (!parsed) return 'a malformed URL'
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}${parsed.search === '' ? '' : '?...'}`
}
