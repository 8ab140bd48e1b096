/**
 * A small service for the tests of simulated machines: boot scripts, lookup, heartbeat and inspection over real HTTP,
 * and a client that talks to an agent as a conductor does. It remembers one node and what its ramdisk sent; nothing but
 * tests uses it.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Value } from 'typebox/value'
import { Agent, request } from 'undici'
import { type CommandResult, HeartbeatBody, InspectionData } from '#protocol/agent.ts'

export const nodeUuid = '6d85703a-565d-469a-96ce-30b6de53079d'
const token = 'a-token-of-more-than-thirty-two-characters'

export class FakeService {
  /** Paths asked for, in order. */
  readonly requests: string[] = []
  readonly heartbeats: HeartbeatBody[] = []
  readonly inspections: InspectionData[] = []
  /** What every machine begins with, at /boot.ipxe. */
  entry = ''
  /** The one machine with a boot script, at /pxelinux.cfg/<its MAC address>; null for none. */
  script: { mac: string; text: string } | null = null
  /** Statuses that the next requests with such a path get. */
  readonly failures: { path: string; status: number }[] = []
  #tokenIsOut = false
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    server.on('request', (incoming, outgoing) => {
      this.#answer(incoming).then(
        ([status, body]) => outgoing.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body)),
        error => outgoing.writeHead(500).end(String(error)),
      )
    })
  }

  static async start(): Promise<FakeService> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new FakeService(server)
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}` // it listens on TCP
  }

  /** A power-off: the next boot gets a token of its own. */
  forget(): void {
    this.#tokenIsOut = false
    this.heartbeats.length = 0
  }

  async heartbeat(count = 1): Promise<HeartbeatBody> {
    await until(() => this.heartbeats.length >= count, `heartbeat ${count}`)
    return this.heartbeats[count - 1]! // just counted
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(incoming: IncomingMessage): Promise<[number, unknown]> {
    const url = new URL(incoming.url ?? '/', this.url)
    const text = await textOf(incoming)
    this.requests.push(`${incoming.method} ${url.pathname}`)
    const failure = this.failures.findIndex(each => url.pathname.startsWith(each.path))
    if (failure >= 0) return [this.failures.splice(failure, 1)[0]?.status ?? 500, '']

    const version = incoming.headers['x-openstack-ironic-api-version']
    switch (url.pathname) {
      case '/':
        return [200, { default_version: { version: '1.115' } }]
      case '/boot.ipxe':
        return [200, this.entry]
      case '/v1/lookup': {
        assert.equal(version, '1.62')
        assert.equal(url.searchParams.get('addresses')?.split(',')[0], this.script?.mac)
        const agent_token = this.#tokenIsOut ? '******' : token
        this.#tokenIsOut = true
        const node = { uuid: nodeUuid, properties: {}, instance_info: {} }
        return [200, { node, config: { heartbeat_timeout: 300, agent_token } }]
      }
      case `/v1/heartbeat/${nodeUuid}`: {
        assert.equal(version, '1.68')
        const body: unknown = JSON.parse(text)
        assert.ok(Value.Check(HeartbeatBody, body))
        assert.equal(body.agent_token, token)
        this.heartbeats.push(body)
        return [202, '']
      }
      case '/v1/continue_inspection': {
        const body: unknown = JSON.parse(text)
        assert.ok(Value.Check(InspectionData, body))
        this.inspections.push(body)
        return [200, { uuid: nodeUuid }]
      }
    }
    if (this.script && url.pathname === `/pxelinux.cfg/${this.script.mac.replaceAll(':', '-')}`) {
      return [200, this.script.text]
    }
    if (this.script && /^\/files\/deploy_(kernel|ramdisk)$/.test(url.pathname)) return [200, 'a dummy']
    return [404, '']
  }
}

/** Talks to an agent at the address of its heartbeat, trusting exactly the certificate in it. */
export class Conductor {
  readonly #heartbeat: HeartbeatBody
  readonly #dispatcher: Agent

  constructor(heartbeat: HeartbeatBody) {
    this.#heartbeat = heartbeat
    const ca = heartbeat.agent_verify_ca
    this.#dispatcher = new Agent(ca ? { connect: { ca, minVersion: 'TLSv1.3' } } : {})
  }

  async get(path: string, agentToken = token): Promise<{ status: number; body: unknown }> {
    return await this.#exchange('GET', `${path}?agent_token=${agentToken}`)
  }

  async post(name: string, params: Record<string, unknown>, wait: boolean): Promise<{ status: number; body: unknown }> {
    return await this.#exchange('POST', `/v1/commands/?wait=${wait}&agent_token=${token}`, { name, params })
  }

  /** Starts a step and waits for its end; `seen` is told every look at it. */
  async step(
    kind: 'clean' | 'deploy',
    step: string,
    args: Record<string, unknown> = {},
    seen: (look: CommandResult) => void = () => {},
  ): Promise<CommandResult> {
    const params = {
      step: { interface: 'deploy', step, args },
      node: { uuid: nodeUuid, properties: {}, instance_info: {} },
      ports: [],
    }
    const started = await this.post(`${kind}.execute_${kind}_step`, params, false)
    assert.equal(started.status, 200)
    const { id } = started.body as CommandResult // the agent's own answer, looked at below
    for (;;) {
      const look = (await this.get(`/v1/commands/${id}`)).body as CommandResult // as above
      seen(structuredClone(look))
      if (look.command_status !== 'RUNNING') return look
      await sleep(10)
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy()
  }

  async #exchange(method: 'GET' | 'POST', path: string, json?: unknown): Promise<{ status: number; body: unknown }> {
    const answer = await request(`${this.#heartbeat.callback_url}${path}`, {
      method,
      dispatcher: this.#dispatcher,
      body: json === undefined ? null : JSON.stringify(json),
    })
    return { status: answer.statusCode, body: await answer.body.json() }
  }
}

export async function until(isDone: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs
  while (!isDone()) {
    assert.ok(performance.now() < end, `waited ${limitMs} ms for: ${what}`)
    await sleep(5)
  }
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
