/**
 * TLS of the API: reads certificate and key as the configuration names them, and follows the files while the service
 * runs. New files count for new connections; those that are open go on with what they began with. Files that do not
 * fit together (one of them is written, the other is yet to come) change nothing until they do.
 *
 * It makes no certificates and opens no sockets.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions, type TlsOptions } from 'node:tls'
import type { Config } from '#config/options.ts'
import type { Clock } from '#lib/clock.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'

/** What serves new connections with it: Node's HTTPS server. */
export interface TlsServer {
  setSecureContext(options: SecureContextOptions): void
}

export interface Tls {
  /** For the server's creation. */
  readonly options: TlsOptions
  /** Looks at the files now, and again every few seconds, until disposed of. */
  follow(server: TlsServer, clock: Clock): Following
}

export interface Following extends AsyncDisposable {
  /** Looks at once. */
  check(): Promise<void>
}

export interface TlsWorld {
  readonly config: Pick<Config, 'api' | 'ssl'>
  readonly log: Log
  /** Time between two looks at the files. */
  readonly everyMs?: number
}

/** Undefined where the API is served without. @throws InvalidInput naming the option and the file that is wrong */
export async function openTls({ config, log, everyMs = 5000 }: TlsWorld): Promise<Tls | undefined> {
  if (!config.api.enable_ssl_api) return undefined
  let seen = await versionOf(config)
  const first = await readMaterial(config)
  tell(first, log, 'the API has its certificate')

  return {
    options: {
      ...first.context,
      // Where authorities are named, only clients whose certificates they signed may connect.
      ...(first.context.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true }),
      handshakeTimeout: 15_000,
    },
    follow(server, clock) {
      const stopping = new AbortController()
      const check = async () => {
        // Taken before the files are read: what changes meanwhile differs at the next look.
        const now = await versionOf(config)
        if (now === seen) return
        seen = now
        try {
          const material = await readMaterial(config)
          server.setSecureContext(material.context)
          tell(material, log, 'the API has a new certificate')
        } catch (error) {
          log.error({}, `${messageOf(error)}; the certificate in use stays`)
        }
      }
      const loop = async () => {
        while (!stopping.signal.aborted) {
          await check()
          await clock.sleep(everyMs, stopping.signal).catch(() => {})
        }
      }
      const ended = loop()
      return {
        check,
        async [Symbol.asyncDispose]() {
          stopping.abort()
          await ended
        },
      }
    },
  }
}

interface Material {
  readonly context: SecureContextOptions
  readonly certificate: X509Certificate
}

/** Reads the files, and tries what they hold. @throws InvalidInput */
async function readMaterial({ api, ssl }: TlsWorld['config']): Promise<Material> {
  const cert = await contents('cert_file', api.cert_file, 'a certificate in PEM, followed by its chain')
  const key = await contents('key_file', api.key_file, 'its private key in PEM')
  const ca = ssl.ca_file === null ? undefined : await contents('ca_file', ssl.ca_file, 'certificates in PEM')
  const certificate = made('cert_file', api.cert_file, () => new X509Certificate(cert))
  const privateKey: KeyObject = made('key_file', api.key_file, () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new InvalidInput(
      `Cannot serve the API over TLS: the key in [api] key_file ${api.key_file} is not that of the certificate in [api] cert_file ${api.cert_file}`,
    )
  }
  const context: SecureContextOptions = {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    minVersion: `TLSv${api.tls_minimum_version}`,
    ...(api.tls_ciphers === null ? {} : { ciphers: withTls13(api.tls_ciphers) }),
  }
  try {
    createSecureContext(context)
  } catch (error) {
    const options = '[api] cert_file, key_file, tls_ciphers or [ssl] ca_file'
    throw new InvalidInput(`Cannot serve the API over TLS with ${options}: ${messageOf(error)}`, { cause: error })
  }
  return { context, certificate }
}

async function contents(option: TlsOption, path: string | null, expected: string): Promise<string> {
  try {
    return await readFile(path ?? '', 'utf8')
  } catch (error) {
    const found = path === null ? 'it is not set' : messageOf(error)
    throw new InvalidInput(`Cannot serve the API over TLS, ${named(option, path)}: ${found}; expected ${expected}`)
  }
}

function made<T>(option: TlsOption, path: string | null, make: () => T): T {
  try {
    return make()
  } catch (error) {
    // What the library says of a file repeats nothing of it.
    throw new InvalidInput(
      `Cannot serve the API over TLS, ${named(option, path)}: it is not usable (${messageOf(error)})`,
    )
  }
}

type TlsOption = 'cert_file' | 'key_file' | 'ca_file'

function named(option: TlsOption, path: string | null): string {
  const group = option === 'ca_file' ? 'ssl' : 'api'
  return path === null ? `[${group}] ${option}` : `[${group}] ${option} ${path}`
}

/** The option speaks of TLS 1.2 alone; without any cipher of 1.3 that version would be off. */
function withTls13(ciphers: string): string {
  return `TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:${ciphers}`
}

function tell({ certificate }: Material, log: Log, message: string): void {
  const { subject, subjectAltName, validTo } = certificate
  const data = { subject: subject?.replaceAll('\n', ', '), names: subjectAltName, valid_to: validTo }
  if (certificate.validToDate.getTime() < Date.now()) log.warn(data, `${message}, which is no longer valid`)
  else log.info(data, message)
}

/** A text that changes with any of the files; links are followed, so swapping a link counts too. */
async function versionOf({ api, ssl }: TlsWorld['config']): Promise<string> {
  const files = [api.cert_file, api.key_file, ssl.ca_file].filter(file => file !== null)
  const versions = files.map(async file => {
    const found = await stat(file, { bigint: true }).catch(() => null)
    return found ? `${found.mtimeNs} ${found.size} ${found.ino}` : 'missing'
  })
  return (await Promise.all(versions)).join()
}
