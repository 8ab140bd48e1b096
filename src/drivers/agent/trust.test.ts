import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Overrides } from '#config/load.ts'
import type { Agent } from '#db/agents.ts'
import { selfSigned } from '#lib/x509.ts'
import { testContext } from '../test-context.ts'
import { AgentUnreachable, agentClient } from './client.ts'

const [notBefore, notAfter] = [new Date(Date.now() - 60_000), new Date(Date.now() + 3_600_000)]
const certificate = (commonName: string) =>
  selfSigned({ commonName, ipAddresses: ['127.0.0.1'], notBefore, notAfter, curve: 'p256' })
const agents = certificate('agent')
const stranger = certificate('stranger')

/** An agent with a certificate that its ramdisk brought along. */
const server = createServer({ cert: agents.certPem, key: agents.keyPem }, (_, response) => {
  response.setHeader('content-type', 'application/json')
  response.end('{"commands": []}')
})
let folder: string
let url: string
const file = (name: string) => join(folder, name)
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrite-trust-'))
  await writeFile(file('agents.pem'), `# of the ramdisk\n${stranger.certPem}${agents.certPem}`)
  await writeFile(file('stranger.pem'), stranger.certPem)
  await writeFile(file('none.pem'), 'no certificate')
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}` // listening on TCP
})
after(async () => {
  server.close()
  server.closeAllConnections()
  await rm(folder, { recursive: true })
})

interface Told {
  configured?: boolean | string
  own?: unknown
  /** What came with the heartbeat. */
  pinned?: string
}

async function clientFor({ configured, own, pinned }: Told) {
  const overrides: Overrides = configured === undefined ? {} : { agent: { verify_ca: configured } }
  const ctx = await testContext({
    config: overrides,
    node: { driver_info: own === undefined ? {} : { agent_verify_ca: own } },
  })
  const agent = { url, verify_ca: pinned ?? null, token: 'x' } as Agent // all that the client reads
  return { client: agentClient({ ...ctx, agent }), [Symbol.asyncDispose]: () => ctx[Symbol.asyncDispose]() }
}

const cases: [name: string, told: () => Told, refused?: RegExp][] = [
  ['nothing: the authorities of the system', () => ({}), /self.signed/],
  ['[agent] verify_ca: a file', () => ({ configured: file('agents.pem') })],
  ['[agent] verify_ca: a directory', () => ({ configured: folder })],
  ['[agent] verify_ca: a file of another', () => ({ configured: file('stranger.pem') }), /self.signed/],
  [
    '[agent] verify_ca: a file that is not there',
    () => ({ configured: file('gone') }),
    /\[agent\] verify_ca is .*gone/,
  ],
  ['[agent] verify_ca: no certificate', () => ({ configured: file('none.pem') }), /holds no certificate/],
  ['[agent] verify_ca = false', () => ({ configured: false })],
  ['a file of the node', () => ({ configured: file('stranger.pem'), own: file('agents.pem') })],
  ['another file of the node', () => ({ configured: file('agents.pem'), own: file('stranger.pem') }), /self.signed/],
  ['the node: no', () => ({ own: 'False' })],
  ['the node: yes, by the authorities of the system', () => ({ configured: false, own: true }), /self.signed/],
  ['the node: neither', () => ({ own: ['x'] }), /driver_info\.agent_verify_ca of node .*no text/],
  ['the heartbeat', () => ({ configured: file('stranger.pem'), pinned: agents.certPem })],
  ['another in the heartbeat, whatever else is said', () => ({ own: false, pinned: stranger.certPem }), /self.signed/],
]
for (const [name, told, refused] of cases) {
  test(`an agent is ${refused ? 'not trusted' : 'trusted'} by ${name}`, async () => {
    await using made = await clientFor(told())
    if (!refused) assert.deepEqual(await made.client.commands(), [])
    else {
      await assert.rejects(made.client.commands(), error => {
        assert.ok(error instanceof AgentUnreachable)
        assert.match(error.message, refused)
        return true
      })
    }
  })
}

test('a file that is replaced counts a second later', async () => {
  const aSecond = () => sleep(1050)
  const changing = file('changing.pem')
  await writeFile(changing, agents.certPem)
  await using made = await clientFor({ configured: changing })
  await made.client.commands()
  await writeFile(changing, stranger.certPem)
  await aSecond()
  await assert.rejects(made.client.commands(), AgentUnreachable)
  await writeFile(changing, agents.certPem)
  await aSecond()
  await made.client.commands()
})
