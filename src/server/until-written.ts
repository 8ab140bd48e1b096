/**
 * Changes of objects that nobody holds while they are changed: what is written is planned from what was read, and is
 * written only while that still stands; otherwise it is read and planned again. So of two patches at once none is lost.
 */
import { Conflict } from '#lib/fault.ts'

const mostTries = 20

/**
 * @param what is changed, for the message
 * @param attempt reads, plans and writes; false: somebody else wrote in between
 * @throws Conflict when others are faster all the time
 */
export async function untilWritten(what: string, attempt: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < mostTries; tries += 1) if (await attempt()) return
  throw new Conflict(`Cannot update ${what}: found it changed by others ${mostTries} times, expected a moment of rest`)
}
