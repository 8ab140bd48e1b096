/** `ferrite serve` as a child process in a directory of its own, for clients to talk to; there is only fake hardware. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts, type Sections, ServiceProcess } from '#lab/service-process.ts'
import { type Access, accessOfTests, type ClientEnvironment } from './access.ts'
import type { Authority, Served } from './certificates.ts'

/** What a client needs to know of a service. */
export interface Reachable {
  readonly endpoint: string
  /** Says to the clients of OpenStack where the service is, and who they are. */
  readonly environment: ClientEnvironment
}

export interface RunningService extends AsyncDisposable, Reachable {}

export interface ServiceOptions {
  /** Options that win over ours. */
  config?: Sections
  /** Default: that of this run. */
  access?: Access
  /** Serve over TLS, with this certificate; clients trust the authority. */
  tls?: { readonly authority: Authority; readonly served: Served }
}

/** The name of the service's one conductor. */
export const conductor = 'ferrite-interop'

/** Runs until it is disposed of; nothing of it stays. */
export async function startService({ config = {}, access, tls }: ServiceOptions = {}): Promise<RunningService> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-clients-'))
  await using opened = new AsyncDisposableStack()
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  const [api = 0, http = 0] = await freePorts(2)
  const letsIn = access ?? (await accessOfTests(directory))
  const service = await ServiceProcess.start({
    directory,
    endpoint: `${tls ? 'https' : 'http'}://127.0.0.1:${api}`,
    ...(tls ? { ca: tls.authority.certPem } : {}),
    config: {
      ...letsIn.config,
      ...config,
      DEFAULT: {
        ...{ host: conductor, my_ip: '127.0.0.1', state_path: join(directory, 'state') },
        ...letsIn.config.DEFAULT,
        ...config.DEFAULT,
      },
      api: {
        ...{ host_ip: '127.0.0.1', port: api },
        ...(tls ? { enable_ssl_api: true, cert_file: tls.served.certFile, key_file: tls.served.keyFile } : {}),
        ...config.api,
      },
      ferrite: { http_host: '127.0.0.1', http_port: http, poll_interval_ms: 100, ...config.ferrite },
    },
  })
  opened.defer(() => service.stop())
  const environment = {
    ...(await letsIn.environment(service.endpoint)),
    ...(tls ? { OS_CACERT: tls.authority.certFile } : {}),
  }
  const held = opened.move()
  return { endpoint: service.endpoint, environment, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
