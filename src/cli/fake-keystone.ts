/**
 * A small Keystone for the tests of the client: a real HTTP server that checks logins by password, token and
 * application credential, and gives tokens with a catalog for the scope that was asked for. Nothing but tests uses it.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeKeystone extends AsyncDisposable {
  readonly url: string
  /** Bodies of all logins, the failed ones too. */
  readonly logins: { auth: { identity: Record<string, unknown>; scope?: unknown } }[]
  /** Tokens given out, the newest last. */
  readonly tokens: string[]
}

/** @param api where the catalog says that the bare metal API is */
export async function startFakeKeystone({ api, password }: { api: string; password: string }): Promise<FakeKeystone> {
  const logins: FakeKeystone['logins'] = []
  const tokens: string[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const answer = (status: number, body: unknown, headers = {}) =>
      void response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body))
    if (request.method !== 'POST' || request.url !== '/identity/v3/auth/tokens') return answer(404, {})
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    logins.push(body)
    const { identity, scope } = body.auth
    const given = identity.password?.user.password ?? identity.application_credential?.secret ?? identity.token?.id
    if (given !== password && !tokens.includes(given)) {
      const error = { code: 401, message: 'The request you have made requires authentication.', title: 'Unauthorized' }
      return answer(401, { error })
    }
    const token = `token-${tokens.length + 1}`
    tokens.push(token)
    const catalog = scope === undefined && !identity.application_credential ? undefined : catalogOf(api)
    answer(201, { token: { methods: identity.methods, catalog } }, { 'X-Subject-Token': token })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // an IP socket, so an object
  return {
    url: `http://127.0.0.1:${port}/identity`,
    logins,
    tokens,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function catalogOf(api: string) {
  const endpoint = (name: string, region: string, url: string) => ({ interface: name, region_id: region, region, url })
  return [
    { type: 'identity', endpoints: [endpoint('public', 'one', 'http://identity')] },
    {
      type: 'baremetal',
      endpoints: [
        endpoint('internal', 'one', 'http://127.0.0.1:9'),
        endpoint('public', 'two', 'http://127.0.0.1:9/two'),
        endpoint('public', 'one', api),
      ],
    },
  ]
}
