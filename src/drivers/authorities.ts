/**
 * Authorities that an operator names: a file of PEM certificates, or a directory of such files. They are read when they
 * are needed, so that a file which is replaced counts a second later; once a second for the hundreds of connections that
 * may be opened in it. Who they are trusted for is the reader's affair.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { recentMap } from '#lib/recent.ts'

const recent = recentMap<Promise<string[]>>({ most: 50, now: () => performance.now() })
const RECENT_MS = 1000

/** The certificates at a path; none where no file holds any. @throws Error of the file system */
export function authoritiesAt(path: string): Promise<string[]> {
  const known = recent.get(path)
  if (known) return known
  const reading = readAuthorities(path)
  recent.set(path, reading, RECENT_MS)
  // What could not be read is tried again by the next.
  reading.catch(() => recent.delete(path))
  return reading
}

async function readAuthorities(path: string): Promise<string[]> {
  const isDirectory = (await stat(path)).isDirectory()
  const files = isDirectory ? (await readdir(path)).map(name => join(path, name)) : [path]
  const texts = await Promise.all(files.map(file => readFile(file, 'utf8').catch(isDirectory ? () => '' : undefined)))
  return texts.flatMap(text => text.match(pemCertificate) ?? [])
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
