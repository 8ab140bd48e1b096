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

/** Fewer characters than this are no secret that could be found in a text without finding it in other words, too. */
const shortestSecret = 6
const named = `(?:passw|secret|token|rootpwd|sshkey|private_key|auth_key|temp_url_sig)[\\w.-]*`
const textPatterns: readonly (readonly [RegExp, string])[] = [
  // ipa-agent-token=x  "password": "x"  agent_token=x&
  [new RegExp(`(${named}["']?\\s*[=:]\\s*)("[^"\\n]*"|'[^'\\n]*'|[^\\s&,;}"']+)`, 'gi'), '$1******'],
  // scheme://user:password@
  [/(:\/\/[^\s/:@]*:)[^\s/@]+@/g, '$1******@'],
]

/**
 * The text without what looks like a secret: values of names that speak of one, passwords in URLs, and `secrets`
 * themselves wherever they stand.
 */
export function maskText(text: string, secrets: readonly string[] = []): string {
  let masked = text
  for (const secret of secrets) if (secret.length >= shortestSecret) masked = masked.replaceAll(secret, '******')
  for (const [pattern, hidden] of textPatterns) masked = masked.replace(pattern, hidden)
  return masked
}

/** Every text that mask() would hide, for maskText(). */
export function secretsIn(value: Record<string, unknown>): string[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    if (typeof inner === 'string') return secretWords.test(key) ? [inner] : []
    return typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? secretsIn(inner as Record<string, unknown>) // a JSON object
      : []
  })
}
