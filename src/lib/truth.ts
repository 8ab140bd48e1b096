/** Yes and no as people write them in settings. Source: oslo.utils, strutils.bool_from_string (the words). */

const yes = ['1', 't', 'true', 'on', 'y', 'yes']
const no = ['0', 'f', 'false', 'off', 'n', 'no']

/** Undefined for what is neither. */
export function isTrue(value: unknown): boolean | undefined {
  const word = String(value).trim().toLowerCase()
  return yes.includes(word) ? true : no.includes(word) ? false : undefined
}
