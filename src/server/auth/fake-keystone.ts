/**
 * A Keystone for tests: a real HTTP server that gives a service its token and describes the tokens that a test issues.
 * It knows nothing of Ferrite. The real one is met in interop/clients.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a token stands for. */
export interface Issued {
  readonly roles?: readonly string[]
  /** ID of a project; its name is `<id> project`, unless `projectName` says another. */
  readonly project?: string
  readonly projectName?: string
  readonly system?: boolean
  readonly domain?: string
  readonly user?: string
  readonly expiresInMs?: number
  readonly accessRules?: readonly { method: string; path: string; service: string }[]
}

export interface FakeKeystoneCounts {
  logins: number
  validations: number
}

export interface FakeKeystone extends AsyncDisposable {
  readonly url: string
  readonly counts: FakeKeystoneCounts
  /** The last body with which a token was asked for. */
  readonly lastLogin: unknown
  /** Makes a token and tells it. */
  issue(what: Issued): string
  revoke(token: string): void
  /** Tokens of services are no longer accepted. */
  forgetServices(): void
  /** Every request is answered with this status from now on; undefined: as it should be. */
  answerWith(status: number | undefined): void
  /** How long an answer takes. */
  delay(ms: number): void
}

/** User and password that the fake lets in. */
export const fakeService = { username: 'ironic', password: 'service-secret' }

export async function startFakeKeystone({ serviceTokenMs = 3_600_000 } = {}): Promise<FakeKeystone> {
  const issued = new Map<string, Issued & { expiresAtMs: number }>()
  const services = new Set<string>()
  const counts: FakeKeystoneCounts = { logins: 0, validations: 0 }
  let forced: number | undefined
  let delayMs = 0
  let lastLogin: unknown

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await bodyOf(request)
    if (delayMs > 0) await new Promise(resolve => setTimeout(resolve, delayMs))
    const url = new URL(request.url ?? '/', 'http://fake')
    if (forced !== undefined) refuse(response, forced)
    else if (url.pathname !== '/v3/auth/tokens') refuse(response, 404)
    else if (request.method === 'POST') login(JSON.parse(text), response)
    else describe(request, url, response)
  }

  function login(body: unknown, response: ServerResponse): void {
    counts.logins += 1
    lastLogin = body
    if (!JSON.stringify(body).includes(`"password":"${fakeService.password}"`)) {
      refuse(response, 401)
      return
    }
    const token = `service-${randomUUID()}`
    services.add(token)
    response.setHeader('X-Subject-Token', token)
    reply(
      response,
      201,
      documentOf({ expiresAtMs: Date.now() + serviceTokenMs, roles: ['service'], project: 'service' }),
    )
  }

  function describe(request: IncomingMessage, url: URL, response: ServerResponse): void {
    counts.validations += 1
    const found = issued.get(String(request.headers['x-subject-token']))
    const expired = found && found.expiresAtMs <= Date.now() && url.searchParams.get('allow_expired') !== '1'
    if (!services.has(String(request.headers['x-auth-token']))) refuse(response, 401)
    else if (!found || expired) refuse(response, 404)
    else reply(response, 200, documentOf(found))
  }

  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // listening on TCP, so not a pipe name
  return {
    url: `http://127.0.0.1:${port}`,
    counts,
    get lastLogin() {
      return lastLogin
    },
    issue(what) {
      const token = `token-${randomUUID()}`
      issued.set(token, { ...what, expiresAtMs: Date.now() + (what.expiresInMs ?? 3_600_000) })
      return token
    },
    revoke: token => void issued.delete(token),
    forgetServices: () => services.clear(),
    answerWith(status) {
      forced = status
    },
    delay(ms) {
      delayMs = ms
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function documentOf(what: Issued & { expiresAtMs: number }): unknown {
  const { project, system, domain, roles = [], user = 'someone', accessRules } = what
  const home = { id: 'default', name: 'Default' }
  return {
    token: {
      methods: ['password'],
      expires_at: new Date(what.expiresAtMs).toISOString().replace('Z', '000Z'),
      issued_at: new Date().toISOString().replace('Z', '000Z'),
      user: { id: `${user}-id`, name: user, domain: home, password_expires_at: null },
      roles: roles.map(name => ({ id: `${name}-id`, name })),
      ...(project === undefined
        ? {}
        : { project: { id: project, name: what.projectName ?? `${project} project`, domain: home }, is_domain: false }),
      ...(system ? { system: { all: true } } : {}),
      ...(domain === undefined ? {} : { domain: { id: domain, name: `${domain} domain` } }),
      ...(accessRules
        ? { application_credential: { id: 'a', name: 'a', restricted: true, access_rules: accessRules } }
        : {}),
    },
  }
}

function refuse(response: ServerResponse, status: number): void {
  reply(response, status, { error: { code: status } })
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer) // no encoding is set, so chunks are buffers
  return Buffer.concat(chunks).toString('utf8')
}
