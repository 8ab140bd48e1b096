/**
 * What the ramdisk calls: look-up, heartbeat, inspection data. No authentication: the agent proves itself with its
 * token. A heartbeat never takes the node's lease, so that it never waits for the work it serves; one that tells nothing
 * new is no write of its own either.
 *
 * Source: agent protocol, "Lookup" and "Heartbeat"; REST API reference, "Ramdisk endpoints".
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { Type } from 'typebox'
import { type Agent, findAgent, type Heartbeat, issueToken, recordHeartbeat } from '#db/agents.ts'
import { appendEvent } from '#db/events.ts'
import { findNodeRow } from '#db/node-rows.ts'
import { findNode, type Node } from '#db/nodes.ts'
import { portsByAddress } from '#db/ports.ts'
import { Forbidden, InvalidInput, NotFound } from '#lib/fault.ts'
import { withoutSlashesAtEnd } from '#lib/slashes.ts'
import { isTrue } from '#lib/truth.ts'
import { type CommandHeader, commandHeader, commandHeaderValues } from '#protocol/agent.ts'
import { timestamp } from '#protocol/field.ts'
import { provision } from '#protocol/states.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { looksLikeUuid, mustFindNode } from '../find-node.ts'
import { masked } from '../mask.ts'
import { list, text, uuid, word } from '../parameters.ts'
import { nodeContext, nodeView } from './node-view.ts'

const tokensFrom = 62
const isMac = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/
const Json = Type.Record(Type.String(), Type.Unknown())
const LookupDocument = Type.Object({ node: Json, config: Json })

export function checkEnabled(call: Pick<Call, 'config'>): void {
  if (!call.config.api.enable_ramdisk_endpoints) throw new Forbidden('Ramdisk endpoints are switched off here')
}

interface LookupQuery {
  readonly addresses: readonly string[] | undefined
  readonly node_uuid: string | undefined
}

async function lookup(call: Call<unknown, LookupQuery>): Promise<Answer> {
  try {
    checkEnabled(call)
    const node = await lookedUp(call, call.query)
    return { json: await lookupJson(call, node) }
  } catch (error) {
    if (error instanceof NotFound || error instanceof Forbidden) await noteUnmet(call)
    throw error
  }
}

/** An operator may read what the caller may not: why nothing was told. */
async function noteUnmet({ db, sightings, config, query, address }: Call<unknown, LookupQuery>): Promise<void> {
  const macs = (query.addresses ?? []).filter(one => isMac.test(one))
  const uuids = new Set((await portsByAddress(db, macs)).map(port => port.node_uuid))
  if (query.node_uuid !== undefined) uuids.add(query.node_uuid)
  if (uuids.size === 0) await sightings.stranger('lookup', macs)
  for (const nodeUuid of uuids) {
    const node = await findNode(db, nodeUuid)
    if (!node) continue
    const why = !config.api.enable_ramdisk_endpoints
      ? 'look-ups are switched off: [api] enable_ramdisk_endpoints is false'
      : uuids.size > 1
        ? `its addresses ${macs.join(', ')} belong to ${uuids.size} nodes`
        : `the node is in state "${node.provision_state}", which waits for no ramdisk`
    await sightings.trouble({ nodeUuid }, { what: 'lookup refused', reason: `${why} (asked by ${address})` })
  }
}

/** The node that the ramdisk runs on; whatever speaks against telling it looks the same to the caller. */
export async function lookedUp(
  call: Pick<Call, 'db' | 'config'>,
  { addresses = [], node_uuid }: LookupQuery,
): Promise<Node> {
  const valid = addresses.filter(one => isMac.test(one))
  if (node_uuid === undefined && valid.length === 0) {
    throw new InvalidInput('Cannot look a node up: expected node_uuid, or addresses with at least one MAC address')
  }
  const uuids =
    node_uuid !== undefined ? [node_uuid] : (await portsByAddress(call.db, valid)).map(port => port.node_uuid)
  const [only, ...others] = [...new Set(uuids)]
  const node = only !== undefined && others.length === 0 ? await findNode(call.db, only) : undefined
  if (!node || !mayLookUp(call, node)) {
    throw new NotFound('No node was found that waits for a ramdisk with these addresses or this UUID')
  }
  return node
}

function mayLookUp({ config }: Pick<Call, 'config'>, node: Node): boolean {
  if (!config.api.restrict_lookup) return true
  const allowed = provision[node.provision_state].lookup
  const own = isTrue(node.driver_info.fast_track)
  return allowed === 'yes' || (allowed === 'fast track' && (own ?? config.deploy.fast_track))
}

async function lookupJson(call: Call, node: Node): Promise<string> {
  const token = call.version >= tokensFrom ? await tokenFor(call, node) : null
  const names = ['uuid', 'properties', 'instance_info', 'driver_internal_info']
  const selection = nodeView.chosen(names, call.version)
  const row = await findNodeRow(call.db, selection, node.uuid)
  if (!row) throw new NotFound(`Node ${node.uuid} could not be found.`)
  const shown = selection.print(row, await nodeContext(call, selection))
  return `{"node":${shown},"config":${JSON.stringify(agentConfig(call, node, token))}}`
}

/** The token, for the agent that asked first and has not used it yet; for others only that there is one. */
async function tokenFor(call: Call, node: Node): Promise<string> {
  const fresh = randomBytes(32).toString('base64url')
  const issued = await issueToken(call.db, node.uuid, { token: fresh, address: call.address })
  if (!issued) return masked
  if (issued.isNew) {
    // The first look-up of a boot is its last hop before the heartbeat.
    const hop = { nowMs: call.clock.now(), node_uuid: node.uuid, kind: 'boot hop', data: { hop: 'lookup' } }
    await appendEvent(call.db, hop)
  }
  return issued.token
}

function agentConfig({ config }: Pick<Call, 'config'>, node: Node, token: string | null) {
  const { agent, agent_containers, api, conductor } = config
  return {
    heartbeat_timeout: api.ramdisk_heartbeat_timeout,
    agent_token: token,
    agent_token_required: true,
    agent_md5_checksum_enable: agent.allow_md5_checksum,
    agent_skip_bmc_detect: ['redfish', 'idrac-redfish'].includes(node.management_interface ?? ''),
    disable_deep_image_inspection: conductor.disable_deep_image_inspection,
    permitted_image_formats: conductor.permitted_image_formats,
    enable_bios_bootloader_install: agent.enable_bios_bootloader_install,
    tls_min_version: agent.tls_minimum_version,
    tls_cipher_suites: agent.tls_ciphers,
    agent_containers,
    metrics: {
      backend: 'noop',
      prepend_host: false,
      prepend_uuid: false,
      prepend_host_reverse: true,
      global_prefix: null,
    },
    metrics_statsd: { statsd_host: 'localhost', statsd_port: 8125 },
  }
}

/** What an agent tells is kept, and shown with its node: it is to be no longer than such things are. */
const longestUrl = 2048
const longestCertificate = 65_536
const longestVersion = 255

const heartbeatArguments = {
  callback_url: text({ required: true, doc: 'base of the agent API, or empty' }),
  agent_version: text({ from: '1.36', below: 400 }),
  agent_token: text({}),
  agent_verify_ca: text({ from: '1.68', below: 400, doc: 'PEM of the certificate the agent serves' }),
  agent_status: word(['start', 'end', 'error'], { from: '1.72', below: 400 }),
  agent_status_message: text({ from: '1.72', below: 400 }),
}

type HeartbeatCall = Call<
  { node_ident: string },
  {
    readonly callback_url: string
    readonly agent_version: string | undefined
    readonly agent_token: string | undefined
    readonly agent_verify_ca: string | undefined
    readonly agent_status: string | undefined
    readonly agent_status_message: string | undefined
  }
>

async function heartbeat(call: HeartbeatCall): Promise<undefined> {
  checkEnabled(call)
  const known = await calling(call, call.params.node_ident)
  try {
    await takeHeartbeat(call, known)
  } catch (error) {
    if (error instanceof InvalidInput) {
      const reason = `${error.message} (sent by ${call.address})`
      await call.sightings.trouble(known, { what: 'heartbeat refused', reason })
    }
    throw error
  }
}

async function takeHeartbeat(call: HeartbeatCall, { nodeUuid, agent }: Calling): Promise<void> {
  const { query, config, db } = call
  const { callback_url: url, agent_verify_ca: ca } = query
  // The token first: a stranger learns nothing of the agent from the other answers.
  checkToken(query.agent_token, agent, 'the heartbeat')
  checkUrl(url, agent)
  if (query.agent_version === undefined && query.agent_status === undefined && call.version >= 36) {
    throw new InvalidInput('Cannot take the heartbeat: expected agent_version or agent_status')
  }
  if (config.agent.require_tls && url !== '' && !url.startsWith('https://')) {
    throw new InvalidInput(`Cannot take the heartbeat: callback_url is ${url}, [agent] require_tls demands https`)
  }
  if (ca !== undefined && ca.length > longestCertificate) {
    throw new InvalidInput(`Cannot take the heartbeat: agent_verify_ca has ${ca.length} characters`)
  }
  if (ca !== undefined && (agent?.verify_ca ?? null) !== null && agent?.verify_ca !== ca) {
    throw new InvalidInput('Cannot take the heartbeat: agent_verify_ca is not the certificate known of this agent')
  }
  const told = {
    url: url === '' ? (agent?.url ?? '') : withoutSlashesAtEnd(url),
    version: query.agent_version?.slice(0, longestVersion) ?? agent?.version ?? null,
    verify_ca: ca ?? agent?.verify_ca ?? null,
    status: query.agent_status ?? null,
    status_message: query.agent_status_message?.slice(0, config.DEFAULT.log_in_db_max_size) ?? null,
  }
  const token = query.agent_token ?? ''
  if (agent && agent.heartbeats > 0 && isKnown(told, agent)) {
    await call.conductor.agentCalled(nodeUuid, token, commandOf(call.header(commandHeader)))
    return
  }
  const recorded = await recordHeartbeat(db, nodeUuid, token, { ...told, at: timestamp(call.clock.now()) })
  if (!recorded) throw new InvalidInput('Cannot take the heartbeat: the machine was switched off meanwhile')
  await call.conductor.wake(nodeUuid, 'heartbeat')
}

/** Whether a command runs, by an agent that says so. */
function commandOf(said: string | undefined): CommandHeader | undefined {
  return commandHeaderValues.find(value => value === said)
}

interface Calling {
  nodeUuid: string
  agent: Agent | undefined
}

/** Who calls. An agent names its node by UUID, so one row answers most heartbeats. @throws NotFound */
async function calling(call: Call, ident: string): Promise<Calling> {
  const known = looksLikeUuid(ident) ? await findAgent(call.db, ident) : undefined
  if (known) return { nodeUuid: known.node_uuid, agent: known }
  const { uuid } = await mustFindNode(call, ident)
  return { nodeUuid: uuid, agent: await findAgent(call.db, uuid) }
}

function isKnown(told: Omit<Heartbeat, 'at'>, agent: Agent): boolean {
  return (Object.keys(told) as (keyof typeof told)[]).every(key => told[key] === agent[key]) // its own keys
}

function checkUrl(url: string, agent: Agent | undefined): void {
  if (url.length > longestUrl) {
    throw new InvalidInput(`Cannot take the heartbeat: callback_url has ${url.length} characters, expected a short URL`)
  }
  if (url !== '' && !/^https?:\/\/[^\s/?#]+[^\s?#]*$/.test(url)) {
    throw new InvalidInput(
      `Cannot take the heartbeat: callback_url is ${JSON.stringify(url.slice(0, 200))}, expected http(s)://host:port`,
    )
  }
  const known = agent?.url ?? ''
  if (url !== '' && known !== '' && known !== withoutSlashesAtEnd(url)) {
    throw new InvalidInput(`Cannot take the heartbeat: callback_url is ${url}, but the agent is known at ${known}`)
  }
}

/** @param what cannot be taken without it */
export function checkToken(token: string | undefined, agent: Agent | undefined, what: string): void {
  const expected = agent?.token ?? null
  const [given, wanted] = [Buffer.from(token ?? ''), Buffer.from(expected ?? '')]
  if (expected !== null && token !== undefined && given.length === wanted.length && timingSafeEqual(given, wanted))
    return
  const found = token === undefined ? 'it is missing' : 'it is not the one this node was given'
  throw new InvalidInput(`Cannot take ${what}: agent_token: ${found}`)
}

/** The rest of the inventory, and everything beside it, is the collectors' own. */
export const InspectionBody = Type.Object({
  inventory: Type.Object({
    bmc_address: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    bmc_v6address: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    // Each is looked for, and no engine takes a statement with any number of values.
    interfaces: Type.Array(Type.Object({ mac_address: Type.String() }), { minItems: 1, maxItems: 10_000 }),
  }),
})

export const ramdisk: readonly Endpoint[] = [
  endpoint({
    id: 'ramdisk.lookup',
    method: 'GET',
    path: '/v1/lookup',
    from: '1.22',
    status: 200,
    policy: 'public',
    urgent: true,
    query: { addresses: list({ doc: 'MAC addresses; those that are none are passed over' }), node_uuid: uuid({}) },
    response: LookupDocument,
    handle: lookup,
  }),
  endpoint({
    id: 'ramdisk.heartbeat',
    method: 'POST',
    path: '/v1/heartbeat/{node_ident}',
    from: '1.22',
    status: 202,
    policy: 'public',
    urgent: true,
    args: heartbeatArguments,
    response: null,
    handle: heartbeat,
  }),
  endpoint({
    id: 'ramdisk.continueInspection',
    method: 'POST',
    path: '/v1/continue_inspection',
    from: '1.84',
    alsoAt: ['1.1'],
    status: 202,
    policy: 'public',
    urgent: true,
    bodySize: 'inspection',
    query: { node_uuid: uuid({ from: '1.84' }) },
    body: InspectionBody,
    response: Type.Union([LookupDocument, Type.Object({ uuid: Type.String() })]),
    async handle(call) {
      checkEnabled(call)
      const data = call.body as Record<string, unknown> // an object by its schema
      const { uuid: nodeUuid } = await call.conductor.inspectionData(data, call.query.node_uuid ?? null)
      if (call.version < 84) return { json: JSON.stringify({ uuid: nodeUuid }) }
      const node = await findNode(call.db, nodeUuid)
      if (!node) throw new NotFound(`Node ${nodeUuid} could not be found.`)
      return { json: await lookupJson(call, node) }
    },
  }),
]
