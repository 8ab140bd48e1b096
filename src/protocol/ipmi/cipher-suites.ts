/**
 * Cipher suites of RMCP+: which algorithms a session proves, signs and encrypts with. Suites with xRC4 (broken) and with
 * MD5 that is no HMAC are left out: no BMC has only those.
 *
 * Source: IPMI v2.0 rev 1.1, tables 13-17 "Authentication algorithm numbers", 13-18, 13-19, 22-20 "Cipher suite IDs".
 */

/** `hash` is the one of its HMAC; `checkBytes` are left of the value that ends the opening. */
const authentications = {
  none: { id: 0, hash: null, checkBytes: 0 },
  'rakp-hmac-sha1': { id: 1, hash: 'sha1', checkBytes: 12 },
  'rakp-hmac-md5': { id: 2, hash: 'md5', checkBytes: 16 },
  'rakp-hmac-sha256': { id: 3, hash: 'sha256', checkBytes: 16 },
} as const

/** `hash` is the one of its HMAC, of which `bytes` are sent. */
const integrities = {
  none: { id: 0, hash: null, bytes: 0 },
  'hmac-sha1-96': { id: 1, hash: 'sha1', bytes: 12 },
  'hmac-md5-128': { id: 2, hash: 'md5', bytes: 16 },
  'hmac-sha256-128': { id: 4, hash: 'sha256', bytes: 16 },
} as const

const confidentialities = { none: { id: 0 }, 'aes-cbc-128': { id: 1 } } as const

export interface CipherSuite {
  id: number
  authentication: (typeof authentications)[keyof typeof authentications]
  integrity: (typeof integrities)[keyof typeof integrities]
  confidentiality: (typeof confidentialities)[keyof typeof confidentialities]
}

const rows = [
  [0, 'none', 'none', 'none'],
  [1, 'rakp-hmac-sha1', 'none', 'none'],
  [2, 'rakp-hmac-sha1', 'hmac-sha1-96', 'none'],
  [3, 'rakp-hmac-sha1', 'hmac-sha1-96', 'aes-cbc-128'],
  [6, 'rakp-hmac-md5', 'none', 'none'],
  [7, 'rakp-hmac-md5', 'hmac-md5-128', 'none'],
  [8, 'rakp-hmac-md5', 'hmac-md5-128', 'aes-cbc-128'],
  [15, 'rakp-hmac-sha256', 'none', 'none'],
  [16, 'rakp-hmac-sha256', 'hmac-sha256-128', 'none'],
  [17, 'rakp-hmac-sha256', 'hmac-sha256-128', 'aes-cbc-128'],
] as const

export const cipherSuites: ReadonlyMap<number, CipherSuite> = new Map(
  rows.map(([id, authentication, integrity, confidentiality]) => [
    id,
    {
      id,
      authentication: authentications[authentication],
      integrity: integrities[integrity],
      confidentiality: confidentialities[confidentiality],
    },
  ]),
)

/** The suite of three algorithms as the opening of a session names them; undefined where there is none. */
export function suiteOf(algorithms: {
  authentication: number
  integrity: number
  confidentiality: number
}): CipherSuite | undefined {
  return [...cipherSuites.values()].find(
    suite =>
      suite.authentication.id === algorithms.authentication &&
      suite.integrity.id === algorithms.integrity &&
      suite.confidentiality.id === algorithms.confidentiality,
  )
}
