/**
 * HTTP to one BMC: a few kept connections, and the rules by which its certificate is trusted. One call is one request
 * and one answer, whatever its status; retrying, logging in and reading the answer are the client's.
 */
import { checkServerIdentity, type PeerCertificate, TLSSocket } from 'node:tls'
import { buildConnector, Pool } from 'undici'
import { authoritiesAt } from '../authorities.ts'
import { type BmcAnswer, timed } from '../measured.ts'
import { secureContextOf, type Trust } from '../secure-contexts.ts'
import type { BmcSettings, TlsSettings } from './driver-info.ts'
import { CertificateRejected } from './faults.ts'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  /** JSON as parsed; any other body as text; null when there is none. */
  body: unknown
}

export interface Exchange {
  method: Method
  path: string
  headers?: Record<string, string>
  body?: unknown
  signal: AbortSignal
}

export interface Transport {
  /** Rejects with the error of Node or undici when there is no whole answer. */
  exchange(request: Exchange): Promise<Answer>
  close(): Promise<void>
}

/** BMCs serve few connections; more at once only wait, or are refused. */
const CONNECTIONS = 2
/** A whole system with all its links is some 20 kB; registries reach a few MB. */
const BODY_LIMIT_BYTES = 16 * 1024 * 1024

/** An open connection weighs 70 kB, most of it outside of the heap; what is asked again sooner than this is one burst. */
const POOL_IDLE_MS = 2000

export function openTransport(bmc: BmcSettings): Transport {
  return new Connections(bmc)
}

/** One is kept for each BMC, idle for most of its time: what it holds then is little. */
class Connections implements Transport {
  readonly #bmc: BmcSettings
  #pool: Pool | undefined
  #underWay = 0
  #idle: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(bmc: BmcSettings) {
    this.#bmc = bmc
  }

  async exchange(request: Exchange): Promise<Answer> {
    if (this.#isClosed) throw new Error(`The connections to the BMC at ${this.#bmc.origin} are closed`)
    this.#underWay += 1
    clearTimeout(this.#idle)
    try {
      return await timed('redfish', () => this.#exchange(request), outcomeOf)
    } finally {
      this.#underWay -= 1
      if (this.#underWay === 0 && !this.#isClosed) this.#restSoon()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#idle)
    await this.#pool?.destroy()
  }

  async #exchange({ method, path, headers, body, signal }: Exchange): Promise<Answer> {
    this.#pool ??= openPool(this.#bmc)
    const answer = await this.#pool.request({
      method,
      path,
      signal,
      headers: {
        accept: 'application/json',
        'odata-version': '4.0',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await answer.body.text()
    return { status: answer.statusCode, headers: answer.headers, body: parsed(text) }
  }

  /** A timer of its own scope: what it remembers outlives the request. */
  #restSoon(): void {
    this.#idle = setTimeout(() => {
      void this.#pool?.destroy()
      this.#pool = undefined
      this.#idle = undefined
    }, POOL_IDLE_MS).unref()
  }
}

/** A 404 or 401 is an answer that callers ask for; a server error is none. */
function outcomeOf(result: { answer: Answer } | { error: unknown }): BmcAnswer['outcome'] {
  if (!('answer' in result)) return 'failed'
  return result.answer.status >= 500 ? 'refused' : 'ok'
}

function openPool(bmc: BmcSettings): Pool {
  return new Pool(bmc.origin, {
    connect: connector(bmc),
    connections: CONNECTIONS,
    pipelining: 1,
    // Shorter than what common web servers of BMCs allow, so that we rarely write into a connection just closed.
    keepAliveTimeout: 4000,
    keepAliveMaxTimeout: 30_000,
    headersTimeout: bmc.readTimeoutMs,
    bodyTimeout: bmc.readTimeoutMs,
    maxResponseSize: BODY_LIMIT_BYTES,
  })
}

/** Firmware sends JSON under any content type, and HTML for its errors. */
function parsed(text: string): unknown {
  if (text.trim() === '') return null
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/**
 * Connects and judges the certificate itself, with the socket at hand, so that a rejection can name what was presented.
 * Authorities are read at each new connection: a file replaced by the operator counts at once.
 */
export function connector(bmc: BmcSettings): buildConnector.connector {
  const { tls } = bmc
  return (target, callback) => {
    trusted(tls)
      .then(ca => {
        const connect = buildConnector({
          timeout: bmc.connectTimeoutMs,
          rejectUnauthorized: false, // judged below, before a byte of ours is sent
          maxCachedSessions: 0, // a resumed session would not show its certificate
          ...(target.protocol === 'https:' ? { secureContext: secureContextOf(trustOf(tls, ca)) } : {}),
        })
        connect(target, (...[error, socket]) => {
          if (error !== null) return callback(error, null)
          const rejection = socket instanceof TLSSocket ? judge(tls, ca, target.hostname, socket) : undefined
          if (rejection === undefined) return callback(null, socket)
          socket.destroy()
          return callback(new CertificateRejected(rejection), null)
        })
      })
      .catch(error => callback(error, null))
  }
}

function trustOf({ minimumVersion, ciphers }: TlsSettings, ca: string[] | null): Trust {
  return {
    ...(ca === null ? {} : { ca }),
    ...(minimumVersion === null ? {} : { minVersion: minimumVersion }),
    ...(ciphers === null ? {} : { ciphers }),
  }
}

/** What is wrong with the presented certificate; undefined when it is accepted. */
function judge(tls: TlsSettings, ca: string[] | null, hostname: string, socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerCertificate()
  const shown = fingerprint(certificate)
  if (tls.fingerprint !== null) {
    if (shown === tls.fingerprint) return undefined
    return `it presents a certificate with SHA-256 ${shown}, expected ${tls.fingerprint} (redfish_tls_fingerprint)`
  }
  if (!tls.verify) return undefined
  const problem = socket.authorized ? undefined : String(socket.authorizationError)
  if (problem === undefined) return undefined
  // A factory certificate is in nobody's name; one that the operator's file holds itself is trusted as it is.
  if (/ALTNAME_INVALID/.test(problem) && ca?.some(pem => sameCertificate(pem, certificate))) return undefined
  const reason = REASONS[problem] ?? `it fails with ${problem}`
  const mismatch = /ALTNAME_INVALID/.test(problem) ? checkServerIdentity(hostname, certificate)?.message : undefined
  return (
    `${mismatch ?? reason} (certificate of ${JSON.stringify(certificate.subject?.CN ?? 'nobody')}, SHA-256 ${shown}). ` +
    'Once you made sure it is the right one, put that SHA-256 into redfish_tls_fingerprint, or a file with its ' +
    'authority into redfish_verify_ca'
  )
}

/** Source: OpenSSL, X509_STORE_CTX_get_error(3). */
const REASONS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed and not known here',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from an authority that is not known here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from an authority that is not known here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from an authority that is not known here',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: is a clock wrong?',
}

function fingerprint(certificate: PeerCertificate): string {
  return (certificate.fingerprint256 ?? '').replaceAll(':', '').toLowerCase() || 'unknown'
}

function sameCertificate(pem: string, certificate: PeerCertificate): boolean {
  const base64 = pem.replace(/-----[^-]+-----|\s/g, '')
  return certificate.raw?.equals(Buffer.from(base64, 'base64')) ?? false
}

/** The PEM certificates of the file or of the files of the directory; null for the system's authorities. */
async function trusted(tls: TlsSettings): Promise<string[] | null> {
  if (tls.caPath === null || !tls.verify || tls.fingerprint !== null) return null
  try {
    const certificates = await authoritiesAt(tls.caPath)
    if (certificates.length > 0) return certificates
    throw new CertificateRejected(`redfish_verify_ca names ${tls.caPath}, which holds no PEM certificate`)
  } catch (error) {
    if (error instanceof CertificateRejected) throw error
    throw new CertificateRejected(`redfish_verify_ca names ${tls.caPath}, which cannot be read`, { cause: error })
  }
}
