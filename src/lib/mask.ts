/** Hides secrets in objects that leave the process. */

const secretWords = /passw|secret|token|community|private_key|auth_key|priv_key|cert_key/i

/** A copy in which every value under a key that speaks of a secret, or is named, is `******`. */
export function mask(value: Record<string, unknown>, keys?: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hide(key, inner, keys)]))
}

function hide(key: string, value: unknown, keys: ReadonlySet<string> | undefined): unknown {
  if (value !== null && value !== '' && (keys?.has(key) || secretWords.test(key))) return '******'
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return mask(value as Record<string, unknown>, keys) // a JSON object
  }
  return value
}
