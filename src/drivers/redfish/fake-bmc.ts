/**
 * A BMC for tests: a small Redfish service that can misbehave as firmware in the field does, and the HTTPS port in
 * front of it. It is lenient where the lab's is strict, so that a test bends only what it is about.
 */
import { X509Certificate } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { selfSigned } from '#lib/x509.ts'

export interface FakeBmc {
  /** The system's state, to be read and bent by a test. */
  power: string
  boot: Record<string, unknown>
  etag: string | null
  user: string
  password: string
  hasSessions: boolean
  systems: string[]
  manufacturer: string
  allowedResets: string[] | null
  nics: { mac: string | null; state: string }[]
  /** More of the system's resource. */
  system: Record<string, unknown>
  /** Other resources, by path. */
  resources: Record<string, unknown>
  /** Comes before the ordinary answer; undefined lets that one through. */
  before: (request: Request, body: unknown) => Response | undefined | Promise<Response | undefined>
  /** Every request that arrived, as `GET /path`. */
  readonly requests: string[]
  /** Bodies of POST and PATCH, but for logins. */
  readonly bodies: unknown[]
  /** Tokens that are good now. */
  readonly tokens: Set<string>
  handle(request: Request): Promise<Response>
}

const ROOT = '/redfish/v1'

export function fakeBmc(given: Partial<FakeBmc> = {}): FakeBmc {
  const bmc: FakeBmc = {
    power: 'Off',
    boot: {
      BootSourceOverrideEnabled: 'Disabled',
      BootSourceOverrideTarget: 'None',
      BootSourceOverrideMode: 'UEFI',
      'BootSourceOverrideTarget@Redfish.AllowableValues': ['None', 'Pxe', 'Hdd', 'Cd', 'BiosSetup'],
    },
    etag: null,
    user: 'admin',
    password: 'correct horse',
    hasSessions: true,
    systems: ['1'],
    manufacturer: 'Acme',
    allowedResets: ['On', 'ForceOff', 'GracefulShutdown', 'ForceRestart', 'Nmi'],
    nics: [],
    system: {},
    resources: {},
    before: () => undefined,
    requests: [],
    bodies: [],
    tokens: new Set(),
    async handle(request) {
      const { method } = request
      const path = new URL(request.url).pathname
      bmc.requests.push(`${method} ${path}`)
      const body = method === 'POST' || method === 'PATCH' ? await request.json() : null
      if (body !== null && !path.endsWith('/Sessions')) bmc.bodies.push(body)
      return (await bmc.before(request, body)) ?? answer(bmc, request, path, body)
    },
    ...given,
  }
  return bmc
}

/** An error as DSP0266 wants it. */
export function redfishError(status: number, id: string, text: string): Response {
  const info = { MessageId: `Base.1.8.${id}`, Message: text, Resolution: 'None.' }
  return Response.json(
    { error: { code: 'Base.1.8.GeneralError', message: 'See ExtendedInfo.', '@Message.ExtendedInfo': [info] } },
    { status },
  )
}

function answer(bmc: FakeBmc, request: Request, path: string, body: unknown): Response {
  const sessions = `${ROOT}/SessionService/Sessions`
  if (path === `${ROOT}/` || path === ROOT) {
    return Response.json({
      '@odata.id': ROOT,
      RedfishVersion: '1.15.0',
      Vendor: bmc.manufacturer,
      Systems: { '@odata.id': `${ROOT}/Systems` },
      Links: bmc.hasSessions ? { Sessions: { '@odata.id': sessions } } : {},
    })
  }
  if (path === sessions && request.method === 'POST') {
    const { UserName, Password } = body as Record<string, unknown> // what the client under test sends
    if (UserName !== bmc.user || Password !== bmc.password) {
      return redfishError(401, 'NoValidSession', `User ${UserName} with password ${Password} is not known.`)
    }
    const token = `token-${bmc.tokens.size + 1}-${Math.random()}`
    bmc.tokens.add(token)
    return Response.json(
      {},
      { status: 201, headers: { 'x-auth-token': token, location: `${sessions}/${bmc.tokens.size}` } },
    )
  }
  if (!isAuthorised(bmc, request)) return redfishError(401, 'NoValidSession', 'There is no valid session.')
  if (request.method === 'DELETE' && path.startsWith(sessions)) {
    bmc.tokens.delete(request.headers.get('x-auth-token') ?? '')
    return new Response(null, { status: 204 })
  }
  if (request.method === 'GET' && Object.hasOwn(bmc.resources, path)) return Response.json(bmc.resources[path])
  if (path === `${ROOT}/Systems`) {
    return Response.json({ Members: bmc.systems.map(id => ({ '@odata.id': `${ROOT}/Systems/${id}` })) })
  }
  const [, id, rest = ''] = /^\/redfish\/v1\/Systems\/([^/]+)(\/.*)?$/.exec(path) ?? []
  if (id === undefined || !bmc.systems.includes(id)) return redfishError(404, 'ResourceMissingAtURI', `No ${path}.`)
  return systemAnswer(bmc, request, { path: `${ROOT}/Systems/${id}`, rest, body })
}

function systemAnswer(bmc: FakeBmc, request: Request, at: { path: string; rest: string; body: unknown }): Response {
  const { path, rest, body } = at
  if (rest === '' && request.method === 'GET') {
    const reset = {
      target: `${path}/Actions/ComputerSystem.Reset`,
      ...(bmc.allowedResets === null ? {} : { 'ResetType@Redfish.AllowableValues': bmc.allowedResets }),
    }
    return Response.json(
      {
        '@odata.id': path,
        PowerState: bmc.power,
        Manufacturer: bmc.manufacturer,
        Model: null,
        Status: { Health: 'OK', State: 'Enabled' },
        Boot: bmc.boot,
        EthernetInterfaces: { '@odata.id': `${path}/EthernetInterfaces` },
        Actions: { '#ComputerSystem.Reset': reset },
        ...bmc.system,
      },
      { headers: bmc.etag === null ? {} : { etag: bmc.etag } },
    )
  }
  if (rest === '' && request.method === 'PATCH') {
    const { Boot } = body as { Boot: Record<string, unknown> } // what the client under test sends
    Object.assign(bmc.boot, Boot)
    return new Response(null, { status: 204 })
  }
  if (rest === '/Actions/ComputerSystem.Reset') {
    const { ResetType } = body as { ResetType: string } // what the client under test sends
    bmc.power = ['ForceOff', 'GracefulShutdown'].includes(ResetType) ? 'Off' : 'On'
    return new Response(null, { status: 204 })
  }
  if (rest === '/EthernetInterfaces') {
    return Response.json({
      Members: bmc.nics.map((_, index) => ({ '@odata.id': `${path}/EthernetInterfaces/${index}` })),
    })
  }
  const nic = bmc.nics[Number(/^\/EthernetInterfaces\/(\d+)$/.exec(rest)?.[1])]
  if (nic) return Response.json({ MACAddress: nic.mac, Status: { State: nic.state } })
  return redfishError(404, 'ResourceMissingAtURI', `No ${path}${rest}.`)
}

function isAuthorised(bmc: FakeBmc, request: Request): boolean {
  if (bmc.tokens.has(request.headers.get('x-auth-token') ?? '')) return true
  const pair = Buffer.from(`${bmc.user}:${bmc.password}`).toString('base64')
  return request.headers.get('authorization') === `Basic ${pair}`
}

export interface BmcPort {
  /** `https://127.0.0.1:port` */
  readonly url: string
  readonly certPem: string
  /** SHA-256 of the certificate, hex. */
  readonly fingerprint: string
  /** Connections that were made so far. */
  readonly connections: number
  /** Breaks every open connection. */
  cut(): void
  [Symbol.asyncDispose](): Promise<void>
}

/** Serves the BMC over HTTPS on a free port of 127.0.0.1. A handler that throws breaks the connection off. */
export async function openPort(
  handle: (request: Request) => Promise<Response>,
  certificate: { names?: string[]; addresses?: string[]; expired?: boolean } = {},
): Promise<BmcPort> {
  const day = 24 * 3600_000
  const { certPem, keyPem } = selfSigned({
    commonName: 'bmc',
    dnsNames: certificate.names ?? [],
    ipAddresses: certificate.addresses ?? ['127.0.0.1'],
    notBefore: new Date(Date.now() - 10 * day),
    notAfter: new Date(Date.now() + (certificate.expired ? -day : day)),
    curve: 'p256',
  })
  const sockets = new Set<Socket>()
  let connections = 0
  const server: Server = createServer({ cert: certPem, key: keyPem }, async (incoming, outgoing) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
    const request = new Request(`https://bmc${incoming.url}`, {
      method: incoming.method ?? 'GET',
      headers: incoming.headers as Record<string, string>, // our client repeats no header
      ...(chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}),
    })
    try {
      const response = await handle(request)
      outgoing.writeHead(response.status, Object.fromEntries(response.headers))
      outgoing.end(Buffer.from(await response.arrayBuffer()))
    } catch {
      incoming.socket.destroy()
    }
  })
  server.on('connection', socket => {
    connections += 1
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // it listens on TCP
  return {
    url: `https://127.0.0.1:${port}`,
    certPem,
    fingerprint: new X509Certificate(certPem).fingerprint256.replaceAll(':', '').toLowerCase(),
    get connections() {
      return connections
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** How a node reaches it. */
export function driverInfoOf({ url, fingerprint }: Pick<BmcPort, 'url' | 'fingerprint'>): Record<string, string> {
  return {
    redfish_address: url,
    redfish_username: 'admin',
    redfish_password: 'correct horse',
    redfish_tls_fingerprint: fingerprint,
  }
}
