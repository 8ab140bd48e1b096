/**
 * Authorities that an operator names: a file of PEM certificates, or a directory of such files. They are read when they
 * are needed, so that a file which is replaced counts at once. Who they are trusted for is the reader's affair.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** The certificates at a path; none where no file holds any. @throws Error of the file system */
export async function authoritiesAt(path: string): Promise<string[]> {
  const isDirectory = (await stat(path)).isDirectory()
  const files = isDirectory ? (await readdir(path)).map(name => join(path, name)) : [path]
  const texts = await Promise.all(files.map(file => readFile(file, 'utf8').catch(isDirectory ? () => '' : undefined)))
  return texts.flatMap(text => text.match(pemCertificate) ?? [])
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
