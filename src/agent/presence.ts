/**
 * How this agent can be reached: its address, the certificate it answers with, and the URL that tells both. A lease may
 * bring another address while the agent runs; it then has another certificate and another URL, and goes on.
 *
 * Source: openstack/ironic-python-agent `agent.py` (when the certificate is of its own making).
 */
import { readFile } from 'node:fs/promises'
import { createServer as createPlainServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import { networkInterfaces } from 'node:os'
import type { HeartbeatBody } from '#protocol/agent.ts'
import { ownAddress, urlHost } from './address.ts'
import { ownCertificate } from './certificate.ts'
import { type AgentContext, agentVersion } from './context.ts'
import type { IronicApi } from './ironic-api.ts'
import type { Options } from './options.ts'

export interface Presence {
  readonly server: Server | TlsServer
  /** Listens, and knows its URL from then on. */
  open(): Promise<void>
  callbackUrl(): string
  /** What a heartbeat says of it. */
  heartbeat(token: string | null): HeartbeatBody
  /** Looks whether the address is still one of this machine's, and moves to the new one if not. */
  refresh(): Promise<void>
}

/** @param handle answers requests */
export async function makePresence(
  context: AgentContext,
  { api, handle, signal }: { api: IronicApi; handle: RequestListener; signal: AbortSignal },
): Promise<Presence> {
  const { options, log } = context
  let address = await ownAddress(context, signal)
  const kind = await tlsKind(options, api)
  const files =
    kind === 'files'
      ? { cert: await readFile(options.tlsCertFile ?? ''), key: await readFile(options.tlsKeyFile ?? '') }
      : null
  let own = kind === 'own' ? ownCertificate(context, address) : null
  const secure = () => ({
    ...(own === null ? files : { cert: own.certPem, key: own.keyPem }),
    minVersion: options.tlsMinVersion === '1.3' ? ('TLSv1.3' as const) : ('TLSv1.2' as const),
    ...(options.tlsCipherSuites === null ? {} : { ciphers: options.tlsCipherSuites }),
  })
  const tls = kind === 'none' ? null : createTlsServer(secure(), handle)
  const server = tls ?? createPlainServer(handle)
  let port = options.listenPort
  const protocol = options.advertiseProtocol ?? (tls === null ? 'http' : 'https')
  const callbackUrl = () => `${protocol}://${urlHost(address)}:${options.advertisePort ?? port}`

  return {
    server,
    callbackUrl,
    open: async () => {
      port = await listen(server, options.listenHost, options.listenPort)
      log.info(`Listening on port ${port}, to be called at ${callbackUrl()}`)
    },
    heartbeat: token => ({
      callback_url: callbackUrl(),
      agent_version: agentVersion,
      agent_token: token,
      ...(own === null ? {} : { agent_verify_ca: own.certPem }),
    }),
    refresh: async () => {
      if (options.advertiseHost !== null || isOurs(address)) return
      const before = address
      address = await ownAddress(context, signal)
      log.warn(`The address ${before} is gone; from now on this agent is at ${address}`)
      if (own === null) return
      own = ownCertificate(context, address)
      tls?.setSecureContext(secure())
    },
  }
}

/** A certificate of our own making only where it can be told to the API; older ones trust none that they do not know. */
async function tlsKind(options: Options, api: IronicApi): Promise<'own' | 'files' | 'none'> {
  if (options.listenTls) return 'files'
  return options.autoTls && (await api.takesCertificate()) ? 'own' : 'none'
}

function isOurs(address: string): boolean {
  return Object.values(networkInterfaces()).some(list => list?.some(one => one.address === address))
}

/** Listens on all addresses of both families, or on IPv4 alone where there is no IPv6. */
async function listen(server: Server | TlsServer, host: string | null, port: number): Promise<number> {
  const attempt = (on: string) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, on, () => {
        server.off('error', reject)
        resolve()
      })
    })
  try {
    await attempt(host ?? '::')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (host !== null || code !== 'EAFNOSUPPORT') throw error
    await attempt('0.0.0.0')
  }
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}
