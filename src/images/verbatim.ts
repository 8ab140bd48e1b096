/**
 * Files that are kept in the store of images and are no disks: kernels, ISOs, archives of a system. Their bytes are checked
 * and kept as they come.
 */
import { randomUUID } from 'node:crypto'
import type { LocatedImage } from './locate.ts'
import type { ImageRequest } from './store.ts'

/** What the store is asked for. @param expected where somebody knows better than its source */
export function verbatim(
  { shown, source, checksum, identity }: LocatedImage,
  expected: ImageRequest['expected'] = checksum,
): ImageRequest {
  return {
    shown,
    source,
    expected,
    // Without anything to tell it by, the content is taken to be new each time.
    identity: identity ?? randomUUID(),
    // None of the formats that are looked for.
    inspect: null,
    convertToRaw: false,
    decompress: [],
    conversion: { memoryLimitMib: 0, attempts: 1, growthFactor: 1 },
    chunked: false,
  }
}
