/**
 * Finds the digest of an image in a checksum file, as sha256sum and its like write them (GNU and BSD form) or a bare
 * digest. Pure.
 */
import { AgentFault } from '../errors.ts'

/**
 * @param imageUrl its last path part is the name looked for
 * @throws AgentFault ImageDownloadError when the file does not speak of the image
 */
export function digestFromFile(text: string, imageUrl: string, checksumUrl: string): string {
  const lines = text
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '')
  const [only] = lines
  if (lines.length === 1 && only !== undefined && DIGEST.test(only)) return only
  const name = decodeURIComponent(new URL(imageUrl).pathname.split('/').at(-1) ?? '')
  for (const line of lines) {
    if (line.startsWith('#')) continue
    const gnu = line.endsWith(` ${name}`) || line.endsWith(` *${name}`)
    const bsd = line.includes(` (${name}) `)
    if (!gnu && !bsd) continue
    const words = line.split(/\s+/)
    const digest = [words[0], words.at(-1)].find(word => DIGEST.test(word ?? ''))
    if (digest !== undefined) return digest
  }
  throw new AgentFault(
    'ImageDownloadError',
    `Looking for the checksum of ${name} in ${checksumUrl}, found no line with it among ${lines.length}`,
  )
}

const DIGEST = /^([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128})$/i
