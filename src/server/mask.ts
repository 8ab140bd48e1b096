/**
 * Hides secrets in what leaves the API: the values of keys that speak of secrets, and `password=…` inside texts. Works
 * on JSON text, because most objects hold no secret and leave exactly as they are stored.
 *
 * Source: REST API reference, "Masking" (the keys are those of OpenStack's common list).
 */

export const masked = '******'

/** A key that contains one of these, in any case, has a secret value. */
const speaking =
  'password|passphrase|secret|token|adminpass|admin_pass|new_pass|sys_pswd|private_key|encrypted_key|fernetkey|sslkey|configdrive|chappassword|chapsecret'
const exact = ['snmp_auth_key', 'snmp_priv_key']

export interface Masker {
  /** JSON text of an object, with secrets hidden; keys of `hide` are hidden whole. */
  text(json: string, hide?: readonly string[]): string
  /** The same for a value. */
  value(value: unknown): unknown
}

/** @param keys further keys with secret values (of driver_info), in lower case */
export function maskerOf(keys: ReadonlySet<string>): Masker {
  const known = new Set([...exact, ...[...keys].map(key => key.toLowerCase())])
  const suspicious = new RegExp([speaking, ...[...known].map(escapeRegex)].join('|'), 'i')
  const speakingKey = new RegExp(speaking, 'i')
  const isSecret = (key: string) => speakingKey.test(key) || known.has(key.toLowerCase())

  const hidden = (value: unknown): unknown => {
    if (typeof value === 'string') return suspicious.test(value) ? value.replace(assignment, `$1${masked}`) : value
    if (Array.isArray(value)) return value.map(hidden)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, isSecret(key) ? masked : hidden(one)]))
  }

  return {
    value: hidden,
    text(json, hide = []) {
      if (json === '{}') return json
      if (!suspicious.test(json) && !hide.some(key => json.includes(key))) return json
      const object = JSON.parse(json) as Record<string, unknown> // columns of this kind hold objects
      for (const key of hide) if (Object.hasOwn(object, key)) object[key] = masked
      return JSON.stringify(hidden(object))
    },
  }
}

/**
 * `password=…`, `token: …` inside a text; the value ends at a blank, a comma or its closing quote. The repetitions are
 * bounded so that no text can make the search slow.
 */
const assignment = new RegExp(
  `((?:${speaking})[\\w-]{0,40}["']?\\s{0,4}[=:]\\s{0,4})("[^"]*"|'[^']*'|[^\\s,;&"']+)`,
  'gi',
)

function escapeRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
