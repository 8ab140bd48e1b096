/** Keys of what is remembered of credentials: a digest that nobody can turn back, under a key that dies with the process. */
import { createHmac, randomBytes } from 'node:crypto'

const processKey = randomBytes(32)

export function digestOf(credentials: string): string {
  return createHmac('sha256', processKey).update(credentials).digest('base64')
}
