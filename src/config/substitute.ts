/**
 * `$name`, `${name}` and `${group.name}` inside a value stand for other options; `$$` and `\$` for the dollar sign. A
 * dollar sign that begins none of these stays as it is. Source: oslo.config, "Option Value Interpolation".
 */

/** A reference leads nowhere; `found` is the reference. */
export class CannotSubstitute extends Error {
  readonly found: string
  readonly expected: string
  constructor(found: string, expected: string) {
    super(`found ${found}, expected ${expected}`)
    this.found = found
    this.expected = expected
  }
}

/** @param lookUp answers the printed value of the option that a reference names */
export function substitute(text: string, lookUp: (reference: string) => string): string {
  return text.replace(
    /\$\$|\\\$|\$\{([a-z_][a-z0-9_]*(?:\.[a-z0-9_]+)?)\}|\$([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?)/gi,
    (match, braced: string | undefined, bare: string | undefined) => {
      const reference = braced ?? bare
      return reference === undefined ? match.slice(1) : lookUp(reference)
    },
  )
}

/** The text that `substitute` turns into `value`. A doubled sign would not do: after a backslash it means something else. */
export function escapeDollars(value: string): string {
  return value.replaceAll('$', () => '\\$')
}
