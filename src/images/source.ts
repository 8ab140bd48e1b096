/**
 * Where an image comes from: reads an image reference, asks its source for size and date, refuses what must not be
 * read. It fetches no image.
 * Source: images, sections 1 and 2 (ironic/common/image_service.py restated; CVE-2026-44919).
 */
import { realpath, stat } from 'node:fs/promises'
import { isAbsolute, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Forbidden, InvalidInput } from '#lib/fault.ts'
import { type Checksum, type ChecksumReference, checksumFromFile } from './checksum.ts'
import { ImageUnreachable, shownUrl } from './faults.ts'
import { glanceId } from './glance.ts'
import { ask, type HttpSettings } from './http.ts'
import type { Job } from './job.ts'
import { type OciReference, ociReference } from './oci.ts'

export type ImageReference = AddressedReference | { readonly kind: 'glance'; readonly id: string } | OciReference

/** References that say by themselves where the image is. */
type AddressedReference =
  | { readonly kind: 'http'; readonly url: string }
  | { readonly kind: 'file'; readonly path: string }

/** What a source says of an image. */
export interface SourceImage {
  readonly source: Job['source']
  /** After redirects; a file:// URL for files. */
  readonly url: string
  readonly shown: string
  /** null when the server does not tell. */
  readonly sizeBytes: number | null
  /** Changes when the content changes; null when the source gives nothing to tell it by. */
  readonly identity: string | null
}

const known = 'expected an http, https or file URL, oci://HOST/PATH:TAG, or the UUID of an image of Glance'
/** What only a BMC reads. */
const mediaOnly = ['nfs', 'cifs', 'smb']

/**
 * @param field how messages name the setting the reference is from
 * @throws InvalidInput for anything that is no reference, or one that no conductor can fetch
 */
export function imageReference(given: unknown, field: string): ImageReference {
  if (given === undefined || given === null || given === '') {
    throw new InvalidInput(`Cannot find the image: ${field} is not set; ${known}`)
  }
  if (typeof given !== 'string')
    throw new InvalidInput(`Cannot find the image: ${field} is a ${typeof given}; expected a URL`)
  const text = given.trim()
  const id = glanceId(text)
  if (id !== undefined) return { kind: 'glance', id }
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase()
  const url = URL.parse(text)
  if (scheme === undefined || !url) {
    const hint = isAbsolute(text) ? `; for a file of this host write file://${text}` : ''
    throw new InvalidInput(
      `Cannot find the image: ${field} is ${JSON.stringify(text.slice(0, 200))}, which is no URL${hint}`,
    )
  }
  if (scheme === 'http' || scheme === 'https') return { kind: 'http', url: url.href }
  if (scheme === 'file' && url.host === '') return { kind: 'file', path: pathOf(url, field) }
  if (scheme === 'oci') return ociReference(text)
  const what = mediaOnly.includes(scheme) ? ', which only BMCs can read' : ''
  throw new InvalidInput(`Cannot find the image: ${field} begins with ${scheme}://${what}; ${known}`)
}

/**
 * Asks the source.
 * @throws ImageUnreachable, Forbidden, InvalidInput
 */
export async function askSource(
  reference: AddressedReference,
  { settings, allowedPaths, signal }: { settings: HttpSettings; allowedPaths: readonly string[]; signal: AbortSignal },
): Promise<SourceImage> {
  if (reference.kind === 'file') return await askFile(reference.path, allowedPaths)
  const { url, status, headers } = await head(reference.url, settings, signal)
  const shown = shownUrl(reference.url)
  if (status !== 200 && status !== 206)
    throw new ImageUnreachable(
      `Cannot fetch image ${shown}: the server answers ${status} ${reasons[status] ?? ''}`.trimEnd() + '; expected 200',
    )
  const etag = typeof headers.etag === 'string' ? headers.etag : ''
  const modified = typeof headers['last-modified'] === 'string' ? headers['last-modified'] : ''
  const sizeBytes = lengthOf(headers)
  return {
    source: { kind: 'http', url: url.href, settings },
    url: url.href,
    shown,
    sizeBytes,
    identity: etag === '' && modified === '' ? null : `${reference.url} ${etag} ${modified} ${sizeBytes}`,
  }
}

/**
 * The checksum itself, fetched if it is in a file.
 * @throws ImageUnreachable, InvalidInput
 */
export async function resolveChecksum(
  reference: ChecksumReference,
  {
    imageUrl,
    settings,
    allowMd5,
    signal,
  }: { imageUrl: string; settings: HttpSettings; allowMd5: boolean; signal: AbortSignal },
): Promise<Checksum> {
  if (!('url' in reference)) return reference
  const shown = shownUrl(reference.url)
  const { status, body } = await ask('GET', reference.url, settings, { signal })
  if (status !== 200) {
    await body.dump()
    throw new ImageUnreachable(`Cannot fetch the checksum file ${shown}: the server answers ${status}; expected 200`)
  }
  let text = ''
  for await (const chunk of body) {
    text += chunk
    if (text.length > 4 * 1024 * 1024)
      throw new InvalidInput(`Cannot verify the image: ${shown} is larger than 4 MiB; expected a checksum file`)
  }
  const fileName = decodeURIComponent(new URL(imageUrl).pathname.split('/').at(-1) ?? '')
  return checksumFromFile(text, { fileName, algo: reference.algo, allowMd5, shownUrl: shown })
}

const reasons: Record<number, string> = { 401: '(unauthorized)', 403: '(forbidden)', 404: '(not found)', 410: '(gone)' }

/** Servers that sign URLs for GET, or know no HEAD, are asked for one byte instead. */
async function head(url: string, settings: HttpSettings, signal: AbortSignal) {
  const answer = await ask('HEAD', url, settings, { signal })
  await answer.body.dump()
  if (![403, 405, 501].includes(answer.status)) return answer
  const probe = await ask('GET', url, settings, { headers: { range: 'bytes=0-0' }, signal })
  probe.body.on('error', () => {})
  probe.body.destroy()
  return probe.status === 200 || probe.status === 206 ? probe : answer
}

function lengthOf(headers: Record<string, string | string[] | undefined>): number | null {
  const total = /^bytes \d+-\d+\/(\d+)$/.exec(String(headers['content-range'] ?? ''))?.[1] ?? headers['content-length']
  return typeof total === 'string' && /^\d+$/.test(total) ? Number(total) : null
}

const forbiddenTrees = ['/dev', '/sys', '/proc', '/boot', '/etc', '/run']

/** Both the path as given and the file that it leads to must be allowed. */
async function askFile(path: string, allowedPaths: readonly string[]): Promise<SourceImage> {
  const shown = `file://${path}`
  if (allowedPaths.length === 0)
    throw new Forbidden(
      `Cannot use image ${shown}: [conductor] file_url_allowed_paths is empty, so no files of this host may be used`,
    )
  const given = resolve(path)
  refuseTree(given, allowedPaths, shown)
  const real = await realpath(given).catch(() => {
    throw new ImageUnreachable(`Cannot use image ${shown}: there is no such file on this host, or it cannot be read`)
  })
  const realAllowed = await Promise.all(allowedPaths.map(allowed => realpath(allowed).catch(() => allowed)))
  refuseTree(real, realAllowed, shown)
  const found = await stat(real)
  if (!found.isFile()) throw new InvalidInput(`Cannot use image ${shown}: it is not a regular file`)
  return {
    source: { kind: 'file', path: real },
    url: shown,
    shown,
    sizeBytes: found.size,
    identity: `${real} ${found.dev} ${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`,
  }
}

function refuseTree(path: string, allowedPaths: readonly string[], shown: string): void {
  const isBelow = (tree: string) => path === tree || path.startsWith(tree.endsWith(sep) ? tree : tree + sep)
  if (forbiddenTrees.some(isBelow))
    throw new Forbidden(`Cannot use image ${shown}: files of ${forbiddenTrees.join(', ')} are never images`)
  if (!allowedPaths.some(isBelow)) {
    throw new Forbidden(
      `Cannot use image ${shown}: it is not below a directory of [conductor] file_url_allowed_paths (${allowedPaths.join(', ')})`,
    )
  }
}

function pathOf(url: URL, field: string): string {
  try {
    return fileURLToPath(url)
  } catch {
    throw new InvalidInput(`Cannot find the image: ${field} is a file URL that names no path; expected file:///PATH`)
  }
}
