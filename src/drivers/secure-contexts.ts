/**
 * What TLS connections trust, made once for all that trust the same. A context takes OpenSSL some 40 KiB that the garbage
 * collector does not see, and so is in no hurry to give back: one for each connection to hundreds of BMCs and agents adds
 * up to more than the service's own objects. It judges nothing and opens nothing.
 */
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { recentMap } from '#lib/recent.ts'

/** All that a context depends on; an absent field stands for Node's default. */
export type Trust = Pick<SecureContextOptions, 'minVersion' | 'ciphers'> & { ca?: string | string[] }

/** Enough for the authorities of a site; agents with a certificate of their own connect once or twice. */
const contexts = recentMap<SecureContext>({ most: 50, now: () => performance.now() })
const KEPT_MS = 5 * 60_000

/** The context of these settings, for `tls.connect` and what passes its options on. @throws Error of OpenSSL */
export function secureContextOf(trust: Trust): SecureContext {
  const key = JSON.stringify([trust.ca, trust.minVersion, trust.ciphers])
  const known = contexts.get(key)
  if (known) return known
  const context = createSecureContext(trust)
  contexts.set(key, context, KEPT_MS)
  return context
}
