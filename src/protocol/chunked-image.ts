/**
 * The chunked form of an image, as a conductor serves it beside the plain one: the pieces that hold data, each
 * compressed and hashed for itself, one after the other in one file, and a manifest that says which piece of the disk
 * each is. What the manifest does not list is zeros. An agent learns of it by a key of image_info that others ignore.
 * No behaviour here but the arithmetic both sides must agree on.
 *
 * Trust: the command names the manifest by its hash, the manifest names every chunk by its hash, and the conductor made
 * both in the same pass that hashed the whole image against the checksum it was given.
 */
import { type Static, Type } from 'typebox'

const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

export const chunkedVersion = 1
/** How much of the disk a chunk is; the last one may be shorter. A multiple of every sector size. */
export const chunkBytes = 2 * 1024 * 1024
/** A manifest that is larger is neither made nor read; 64 MiB are 500 GiB full of data. */
export const manifestLimitBytes = 64 * 1024 * 1024

export const ImageChunk = Type.Object({
  /** Which piece of the disk: it begins at `index` times `chunk_bytes`. */
  index: Type.Integer({ minimum: 0 }),
  /** Bytes in the data file, after those of the chunks before. */
  stored_bytes: Type.Integer({ minimum: 1, maximum: chunkBytes }),
  /** `plain`: compressing it would not make it smaller. `zstd`: one frame with its own check sum and the whole piece. */
  encoding: Type.Enum(['plain', 'zstd']),
  /** Of the bytes in the data file: they are checked before anything reads them. */
  stored_sha256: Sha256,
  /** Of the piece of the disk: what was written earlier can be recognised. */
  sha256: Sha256,
})
export type ImageChunk = Static<typeof ImageChunk>

export const ChunkManifest = Type.Object({
  version: Type.Literal(chunkedVersion),
  /** Of the whole image. */
  size_bytes: Bytes,
  sha256: Sha256,
  chunk_bytes: Type.Literal(chunkBytes),
  /** Ascending by index, no index twice. */
  chunks: Type.Array(ImageChunk),
})
export type ChunkManifest = Static<typeof ChunkManifest>

/** The key `ferrite_chunked` of image_info. */
export const ChunkedImage = Type.Object({
  manifest_url: Type.String(),
  manifest_sha256: Sha256,
  data_url: Type.String(),
})
export type ChunkedImage = Static<typeof ChunkedImage>

/** What writing an image took; in the result of the step that wrote it, beside the text that conductors expect. */
export const ImageTraffic = Type.Object({
  form: Type.Enum(['chunked', 'plain']),
  /** Of the disk that the image describes. */
  image_bytes: Bytes,
  /** That came over the network as image data, those that came twice included. */
  received_bytes: Bytes,
  received_twice_bytes: Bytes,
  written_bytes: Bytes,
  /** Made zero without sending or writing zeros, where the disk can. */
  zeroed_bytes: Bytes,
  /** Found on the disk, left there by an earlier attempt. */
  kept_bytes: Bytes,
  seconds: Type.Number({ minimum: 0 }),
})
export type ImageTraffic = Static<typeof ImageTraffic>

/** How many bytes of the disk a chunk describes. */
export function plainBytes({ size_bytes, chunk_bytes }: ChunkManifest, index: number): number {
  return Math.min(chunk_bytes, size_bytes - index * chunk_bytes)
}

/** The ranges of the disk that hold nothing but zeros, ascending: from, up to and without. */
export function emptyRanges({ size_bytes, chunk_bytes, chunks }: ChunkManifest): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = []
  let from = 0
  for (const { index } of [...chunks, { index: Math.ceil(size_bytes / chunk_bytes) }]) {
    const to = Math.min(index * chunk_bytes, size_bytes)
    if (to > from) ranges.push({ from, to })
    from = to + chunk_bytes
  }
  return ranges
}
