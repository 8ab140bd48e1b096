/**
 * A provisioning API as small as the agent needs it, over real HTTPS: root document, lookup that gives its token out
 * once, heartbeat that checks what Ironic checks, continue_inspection. For tests.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { selfSigned } from '#lib/x509.ts'
import type { HeartbeatBody } from '#protocol/agent.ts'

export interface FakeIronic {
  url: string
  /** Trust this: NODE_EXTRA_CA_CERTS. */
  certPem: string
  token: string
  lookups: { url: URL; version: string | undefined }[]
  heartbeats: (HeartbeatBody & { at: number; version: string | undefined })[]
  inspections: unknown[]
  /** What the next requests get instead of success; one entry is used per request. */
  lookupRefusals: { status: number; text: string }[]
  heartbeatRefusals: { status: number; text: string }[]
  inspectionRefusals: number[]
  /** The newest that its root document says. */
  version: string
  node: Record<string, unknown>
  config: Record<string, unknown>
  /** Resolves with the heartbeat of this number, counted from 1. */
  heartbeat(number: number): Promise<HeartbeatBody>
  close(): Promise<void>
}

export async function startFakeIronic(): Promise<FakeIronic> {
  const hour = 3600_000
  const { certPem, keyPem } = selfSigned({
    commonName: 'ironic',
    ipAddresses: ['127.0.0.1'],
    notBefore: new Date(Date.now() - hour),
    notAfter: new Date(Date.now() + hour),
  })
  const waiting: { number: number; resolve: (body: HeartbeatBody) => void }[] = []
  let tokenGiven = false
  const fake: FakeIronic = {
    url: '',
    certPem,
    token: 'a-token-that-is-long-enough-to-be-adopted-1',
    lookups: [],
    heartbeats: [],
    inspections: [],
    lookupRefusals: [],
    heartbeatRefusals: [],
    inspectionRefusals: [],
    version: '1.115',
    node: { uuid: '6d85703a-565d-469a-96ce-30b6de53079d', properties: {}, instance_info: {} },
    config: { heartbeat_timeout: 300 },
    heartbeat: number =>
      new Promise(resolve => {
        const there = fake.heartbeats[number - 1]
        if (there) resolve(there)
        else waiting.push({ number, resolve })
      }),
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', fake.url)
    const version = request.headers['x-openstack-ironic-api-version'] as string | undefined // sent once
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const body = chunks.length === 0 ? null : JSON.parse(Buffer.concat(chunks).toString())
    const send = (status: number, json?: unknown) => {
      response
        .writeHead(status, { 'Content-Type': 'application/json' })
        .end(json === undefined ? '' : JSON.stringify(json))
    }
    const refuse = ({ status, text }: { status: number; text: string }) =>
      send(status, { error_message: JSON.stringify({ faultcode: 'Client', faultstring: text, debuginfo: null }) })

    if (url.pathname === '/')
      return send(200, { default_version: { id: 'v1', min_version: '1.1', version: fake.version } })
    if (url.pathname === '/v1/lookup') {
      fake.lookups.push({ url, version })
      const refusal = fake.lookupRefusals.shift()
      if (refusal) return refuse(refusal)
      const token = tokenGiven ? '******' : fake.token
      tokenGiven = true
      return send(200, { node: fake.node, config: { agent_token: token, ...fake.config } })
    }
    if (url.pathname === `/v1/heartbeat/${fake.node.uuid}` && request.method === 'POST') {
      const refusal = fake.heartbeatRefusals.shift()
      if (refusal) return refuse(refusal)
      const first = fake.heartbeats[0]
      if (body.agent_token !== fake.token) return refuse({ status: 400, text: 'wrong token' })
      if (first && first.callback_url !== body.callback_url)
        return refuse({ status: 400, text: 'callback_url changed' })
      if (first && first.agent_verify_ca !== body.agent_verify_ca)
        return refuse({ status: 400, text: 'agent_verify_ca changed' })
      fake.heartbeats.push({ ...body, at: performance.now(), version })
      send(202)
      for (const { number, resolve } of waiting) if (number <= fake.heartbeats.length) resolve(body)
      return
    }
    if (url.pathname === '/v1/continue_inspection') {
      const status = fake.inspectionRefusals.shift()
      if (status !== undefined) return send(status, {})
      fake.inspections.push(body)
      return send(202, { uuid: fake.node.uuid })
    }
    refuse({ status: 404, text: `no ${url.pathname}` })
  }

  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    answer(request, response).catch(error => response.destroy(error))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  fake.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}` // TCP, so not a pipe's name
  return fake
}
