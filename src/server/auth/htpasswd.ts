/**
 * The file of users: a line for each, `name:hash`, as the htpasswd program writes them with -B. It knows bcrypt hashes
 * only, as Ironic does, and never repeats one in a message.
 */
import { InvalidInput } from '#lib/fault.ts'

/** Hashes by user name. */
export type Users = ReadonlyMap<string, string>

const bcryptHash = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/

/** @throws InvalidInput naming the line */
export function parseUsers(text: string, path: string): Users {
  const users = new Map<string, string>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const refuse = (found: string, expected: string) =>
      new InvalidInput(
        `Cannot use the file of users ${path}: in line ${index + 1} found ${found}, expected ${expected}`,
      )
    const colon = line.indexOf(':')
    if (colon <= 0) throw refuse('no user name in front of a colon', 'name:hash')
    const name = line.slice(0, colon)
    const hash = line.slice(colon + 1)
    if (!bcryptHash.test(hash)) {
      throw refuse(
        `no bcrypt hash for user ${JSON.stringify(name)}`,
        'one that begins with $2y$, $2a$ or $2b$ (htpasswd -B)',
      )
    }
    // The first line of a name counts.
    if (!users.has(name)) users.set(name, hash)
  }
  if (users.size === 0)
    throw new InvalidInput(`Cannot use the file of users ${path}: found no user, expected name:hash`)
  return users
}
