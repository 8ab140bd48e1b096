/**
 * Temporary URLs of object stores: a path, an end and a signature by a key that the account holds. Signing is pure; the
 * cache keeps what was signed, so that a caching proxy in front of the machines sees the same URL again.
 * Source: images, section 7; Swift, "Temporary URL middleware".
 */
import { createHmac } from 'node:crypto'

export type TempUrlDigest = 'sha1' | 'sha256' | 'sha512'

/** @param path from the version on: `/v1/AUTH_account/container/object` @param expires seconds since 1970 */
export function signTempUrl(
  path: string,
  { key, expires, digest }: { key: string; expires: number; digest: TempUrlDigest },
): string {
  const signature = createHmac(digest, key).update(`GET\n${expires}\n${path}`).digest('hex')
  return `${path}?temp_url_sig=${signature}&temp_url_expires=${expires}`
}

export interface TempUrl {
  readonly url: string
  /** Seconds since 1970. */
  readonly expires: number
}

export class TempUrlCache {
  readonly #kept = new Map<string, TempUrl>()

  /** One that is still good at `until`, in seconds since 1970; others are dropped. */
  get(name: string, until: number): TempUrl | undefined {
    for (const [known, { expires }] of this.#kept) if (expires < until) this.#kept.delete(known)
    return this.#kept.get(name)
  }

  set(name: string, url: TempUrl): void {
    this.#kept.set(name, url)
  }

  delete(name: string): void {
    this.#kept.delete(name)
  }
}
