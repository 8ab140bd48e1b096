import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { loadConfig } from '#config/load.ts'
import { issueToken, recordHeartbeat } from '#db/agents.ts'
import { eventsOf } from '#db/events.ts'
import { collectLogs } from '#drivers/agent/collect-logs.ts'
import { InvalidInput } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { Shared } from '../shared.ts'
import { addNode, caller, eventually, startEngine } from '../test-engine.ts'

const secret = 'S3cret-of-the-bmc'
const archive = (await archiveOf({ journal: `logged in with ${secret}\n` })).toString('base64')

/** By the real tar. */
async function archiveOf(files: Record<string, string>): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-logs-'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  const names = Object.keys(files)
  await run('tar', ['-czf', join(directory, 'packed'), '-C', directory, ...names])
  const packed = await readFile(join(directory, 'packed'))
  await rm(directory, { recursive: true })
  return packed
}

/** The archive came, and the secret of the node is not in it. */
function assertMasked(kept: Buffer): void {
  const text = gunzipSync(kept).toString('latin1')
  assert.match(text, /^journal\0.*logged in with \*{6}\n/s)
  assert.ok(!text.includes(secret))
}

/** A cleaning that ends as it is told; its undo collects, as that of real ones does. */
const cleaning = (fails: boolean): FlowDefinition => ({
  kind: 'clean',
  async run(ctx) {
    if (fails) throw new InvalidInput('a step failed')
    await collectLogs(ctx, { of: 'cleaning', failed: false })
    return 'done'
  },
  undo: (ctx, _args, failure) => collectLogs(ctx, { of: 'cleaning', failed: !failure.aborted }),
})

interface Asked {
  method: string
  path: string
  body: string
  headers: Record<string, unknown>
}

/** A server that answers everything, and notes it: agent, or object store. */
async function server(answer: (asked: Asked) => { status: number; body?: object }) {
  const asked: Asked[] = []
  const listening = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('latin1')) body += chunk
    const { method = '', url: path = '', headers } = request
    asked.push({ method, path, body, headers })
    const { status, body: told = {} } = answer({ method, path, body, headers })
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(told))
  }).listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const address = listening.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    asked,
    url: `http://127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose]() {
      listening.closeAllConnections()
      listening.close()
    },
  }
}

const command = { id: '1', command_name: 'collect_system_logs', command_status: 'SUCCEEDED', command_error: null }

/** Runs a cleaning to its end. @returns the node, what the agent was asked, and what the history tells of logs */
async function cleaned(
  options: Record<string, string | number>,
  {
    fails,
    agentAnswers = { status: 200, body: { ...command, command_result: { system_logs: archive } } },
    more = {},
  }: {
    fails: boolean
    agentAnswers?: { status: number; body?: object }
    more?: Record<string, Record<string, string>>
  },
) {
  await using agent = await server(() => agentAnswers)
  const shared = new Shared()
  const config = await loadConfig({ overrides: { ...more, agent: options } })
  const known = { url: agent.url, verify_ca: null, token: 'x' }
  const context = { config, agent: known, shared: shared.get }
  await using world = await startEngine(cleaning(fails), { context })
  const uuid = await addNode(world.db, 'manageable', { name: 'rack-1', driver_info: { redfish_password: secret } })
  await issueToken(world.db, uuid, { token: 'x', address: '192.0.2.1' })
  const beat = { ...known, version: '1', status: null, status_message: null, at: '' }
  await recordHeartbeat(world.db, uuid, 'x', beat)
  await world.engine.begin({ nodeUuid: uuid, kind: 'clean', args: {}, event: 'provide', caller })
  await eventually('ends', async () => (await world.node(uuid)).lease === null)
  const told = (await eventsOf(world.db, uuid, { limit: 1000 })).filter(event => event.kind === 'ramdisk logs')
  await shared.dispose()
  return { node: await world.node(uuid), asked: agent.asked, told: told.map(({ data }) => data) }
}

test('local: on failure an archive of the node, named as Ironic names it, for root alone', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-logs-'))
  const deploy_logs_local_path = join(directory, 'deploy')
  const { node, asked, told } = await cleaned({ deploy_logs_local_path }, { fails: true })
  assert.equal(node.provision_state, 'clean failed')
  assert.match(node.last_error ?? '', /a step failed/)
  const [file = '', ...others] = await readdir(deploy_logs_local_path)
  assert.deepEqual(others, [])
  assert.match(file, new RegExp(`^${node.uuid}_rack-1_cleaning_\\d{4}(-\\d\\d){5}\\.tar\\.gz$`))
  const path = join(deploy_logs_local_path, file)
  assertMasked(await readFile(path))
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  // Beside it the conductor, on whose disk it is.
  assert.deepEqual(told, [{ of: 'cleaning', kept: path, conductor: 'host-1' }])
  assert.deepEqual(
    asked.map(({ body }) => JSON.parse(body)),
    [{ name: 'log.collect_system_logs', params: {} }],
  )
  await rm(directory, { recursive: true })
})

test('what goes well is collected with "always" alone, and nothing with "never"', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-logs-'))
  const at = { deploy_logs_local_path: directory }
  assert.deepEqual((await cleaned(at, { fails: false })).asked, [])
  assert.deepEqual((await cleaned({ ...at, deploy_logs_collect: 'never' }, { fails: true })).asked, [])
  assert.deepEqual(await readdir(directory), [])
  const { node } = await cleaned({ ...at, deploy_logs_collect: 'always' }, { fails: false })
  assert.equal(node.provision_state, 'available')
  assert.equal((await readdir(directory)).length, 1)
  await rm(directory, { recursive: true })
})

test('an agent that refuses, or answers nonsense, changes nothing of the end', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-logs-'))
  const refusals = [
    { status: 500, body: { faultstring: 'no such command' } },
    { status: 409, body: { faultstring: 'Agent is busy' } },
    { status: 200, body: { ...command, command_result: { system_logs: 7 } } },
    { status: 200, body: { ...command, command_status: 'FAILED', command_result: null } },
  ]
  for (const agentAnswers of refusals) {
    const { node, told } = await cleaned({ deploy_logs_local_path: directory }, { fails: true, agentAnswers })
    assert.match(node.last_error ?? '', /a step failed/)
    assert.deepEqual(told, [])
  }
  assert.deepEqual(await readdir(directory), [])
  await rm(directory, { recursive: true })
})

test('swift: into the container, which is made, with the time after which it is forgotten', async () => {
  await using swift = await server(() => ({ status: 201 }))
  const options = {
    deploy_logs_storage_backend: 'swift',
    deploy_logs_swift_container: 'logs',
    deploy_logs_swift_days_to_expire: 2,
  }
  const more = { swift: { auth_type: 'none', endpoint_override: `${swift.url}/v1/AUTH_x` } }
  const { told, node } = await cleaned(options, { fails: true, more })
  const [container, object] = swift.asked
  assert.equal(`${container?.method} ${container?.path}`, 'PUT /v1/AUTH_x/logs')
  assert.equal(object?.method, 'PUT')
  assert.match(object?.path ?? '', new RegExp(`^/v1/AUTH_x/logs/${node.uuid}_rack-1_cleaning_`))
  assertMasked(Buffer.from(object?.body ?? '', 'latin1'))
  assert.equal(object?.headers['x-delete-after'], '172800')
  assert.match(String(told[0]?.kept), /^swift:logs\//)
})

test('a Swift that refuses changes nothing of the end', async () => {
  await using swift = await server(() => ({ status: 403 }))
  const more = { swift: { auth_type: 'none', endpoint_override: swift.url } }
  const { node, told } = await cleaned({ deploy_logs_storage_backend: 'swift' }, { fails: true, more })
  assert.match(node.last_error ?? '', /a step failed/)
  assert.deepEqual(told, [])
})
