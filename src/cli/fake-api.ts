/**
 * A small bare metal API for the tests of the client: a real HTTP server with nodes, ports, drivers and conductors in
 * memory, versions negotiated, JSON patches applied, verbs taken from the state table. Its clock is the requests: a
 * node that is on its way goes one stage further each time it is read, so that transcripts are the same every time.
 * It checks less than the service does, and nothing but tests uses it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Progress } from '#protocol/progress.ts'
import { isProvisionState, type ProvisionState, powerTargets, type Verb, verbs, verbTarget } from '#protocol/states.ts'

type Row = Record<string, unknown>

/** What one read of a node that is on its way shows. */
interface Stage {
  readonly provision_state: ProvisionState
  readonly target_provision_state: string | null
  readonly deploy_step?: Row
  readonly progress?: Progress
  readonly last_error?: string
  readonly power_state?: string
}

export interface FakeApi {
  readonly url: string
  /** Every request as `METHOD /path?query`, with the body's text where it has one. */
  readonly requests: string[]
  /** Answers that come before any other handling, each used once. */
  readonly before: { status: number; message: string; method?: string }[]
  /** The newest microversion served. */
  maximum: string
  /** Stages that the next deploy goes through, instead of the usual ones. */
  nextDeploy: Stage[] | undefined
  /** Drops all nodes and ports. */
  clear(): void
  close(): Promise<void>
}

class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString().replace('.000Z', '+00:00')
const uuidOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

const shortNode = ['uuid', 'name', 'instance_uuid', 'power_state', 'provision_state', 'maintenance', 'links']
const interfaces = ['power', 'management', 'boot', 'deploy']
const nodePatchable = ['name', 'driver', 'driver_info', 'properties', 'extra', 'instance_info', 'instance_uuid']
const defaults: Row = { automated_clean: null, protected: false, description: null, resource_class: null }
const portPatchable = ['address', 'extra', 'node_uuid', 'name', 'local_link_connection', 'pxe_enabled', 'description']

/**
 * @param port 0 for a free one
 * @param nodes that exist from the start
 */
export async function startFakeApi({ port = 0, nodes = [] as Row[] } = {}): Promise<FakeApi> {
  const world = new World(nodes)
  const server = createServer((request, response) => void world.serve(request, response))
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  const { port: taken } = server.address() as AddressInfo // an IP socket, so an object
  world.url = `http://127.0.0.1:${taken}`
  return Object.assign(world, { close: () => closeServer(server) })
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  server.closeAllConnections()
  await closed
}

class World {
  url = ''
  maximum = '1.115'
  nextDeploy: Stage[] | undefined
  readonly requests: string[] = []
  readonly before: { status: number; message: string; method?: string }[] = []
  #nodes: Row[]
  #ports: Row[] = []
  #stages = new Map<unknown, Stage[]>()
  #bootDevices = new Map<unknown, Row>()
  #count = 0
  #requestCount = 0

  constructor(nodes: Row[]) {
    this.#nodes = nodes
  }

  clear(): void {
    this.#nodes = []
    this.#ports = []
    this.#stages.clear()
    this.#bootDevices.clear()
    this.#count = 0
    this.#requestCount = 0
    this.requests.length = 0
    this.before.length = 0
    this.maximum = '1.115'
    this.nextDeploy = undefined
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString('utf8')
    const url = new URL(request.url ?? '/', this.url)
    const method = request.method ?? 'GET'
    this.requests.push(`${method} ${url.pathname}${url.search}${text ? ` ${text}` : ''}`)
    response.setHeader('X-OpenStack-Request-Id', `req-${uuidOf(++this.#requestCount)}`)
    response.setHeader('X-OpenStack-Ironic-API-Minimum-Version', '1.1')
    response.setHeader('X-OpenStack-Ironic-API-Maximum-Version', this.maximum)
    try {
      this.#checkVersion(request.headers['x-openstack-ironic-api-version'])
      const planned = this.before[0]
      if (planned && (!planned.method || planned.method === method)) {
        this.before.shift()
        throw new Refusal(planned.status, planned.message)
      }
      const [status, body] = this.#route(method, url, text ? JSON.parse(text) : {})
      response.statusCode = status
      if (body === undefined) response.end()
      else response.setHeader('Content-Type', 'application/json').end(JSON.stringify(body))
    } catch (error) {
      const status = error instanceof Refusal ? error.status : 500
      const faultstring = error instanceof Error ? error.message : String(error)
      const inner = { faultcode: status < 500 ? 'Client' : 'Server', faultstring, debuginfo: null }
      response.statusCode = status
      response.setHeader('Content-Type', 'application/json')
      response.end(JSON.stringify({ error_message: JSON.stringify(inner) }))
    }
  }

  #checkVersion(asked: string | string[] | undefined): void {
    const minor = (version: string) => Number(version.split('.')[1])
    if (typeof asked !== 'string' || asked === 'latest') return
    if (minor(asked) > minor(this.maximum)) {
      throw new Refusal(406, `Version ${asked} was requested but the service speaks 1.1 to ${this.maximum}.`)
    }
  }

  #route(method: string, url: URL, body: Row | Row[]): [number, unknown] {
    const [, , collection = '', name = '', ...rest] = url.pathname.split('/').map(decodeURIComponent)
    const call = `${method} ${collection}`
    const query = url.searchParams
    const one = (Array.isArray(body) ? {} : body) as Row
    if (collection === '') return [200, { id: 'v1', version: { id: 'v1', version: this.maximum } }]
    if (collection === 'drivers' && method === 'GET') return [200, drivers(name, rest[0])]
    if (collection === 'conductors' && method === 'GET') return [200, conductors(name)]
    if (call === 'POST nodes') return [201, this.#createNode(one)]
    if (call === 'POST ports') return [201, this.#createPort(one)]
    if (call === 'GET nodes' && (name === '' || name === 'detail')) {
      return [200, this.#list({ rows: this.#nodes, key: 'nodes', query, short: name === '' ? shortNode : undefined })]
    }
    if (call === 'GET ports' && (name === '' || name === 'detail')) {
      const short = name === '' ? ['uuid', 'address', 'links'] : undefined
      return [200, this.#list({ rows: this.#ports, key: 'ports', query, short })]
    }
    if (collection === 'nodes')
      return this.#nodeCall(method, this.#find(this.#nodes, 'Node', name), { rest, query, body })
    if (collection === 'ports') {
      const port = this.#find(this.#ports, 'Port', name)
      if (method === 'GET') return [200, selected(port, query.get('fields'))]
      if (method === 'PATCH') return [200, patch(port, body, portPatchable)]
      this.#ports = this.#ports.filter(row => row !== port)
      return [204, undefined]
    }
    throw new Refusal(404, `${url.pathname} is unknown here`)
  }

  #nodeCall(
    method: string,
    node: Row,
    { rest, query, body }: { rest: string[]; query: URLSearchParams; body: unknown },
  ) {
    const one = body as Row // the calls below take objects
    const call = `${method} ${rest.join('/')}`.trim()
    const answer = (status: number, value?: unknown): [number, unknown] => [status, value]
    switch (call) {
      case 'GET':
        this.#advance(node)
        return answer(200, selected(node, query.get('fields')))
      case 'PATCH':
        return answer(200, patch(node, body, [...nodePatchable, ...Object.keys(defaults), ...interfaceFields]))
      case 'DELETE':
        this.#nodes = this.#nodes.filter(row => row !== node)
        return answer(204)
      case 'GET validate':
        return answer(200, {
          power: { result: true },
          boot: { result: false, reason: 'deploy_kernel is missing' },
          bios: { result: null, reason: 'not supported' },
        })
      case 'PUT states/power':
        node.power_state = powerTargets[one.target as keyof typeof powerTargets]
        return answer(202)
      case 'PUT states/provision':
        this.#startVerb(node, one)
        return answer(202)
      case 'PUT maintenance':
        Object.assign(node, { maintenance: true, maintenance_reason: one.reason })
        return answer(202)
      case 'DELETE maintenance':
        Object.assign(node, { maintenance: false, maintenance_reason: null })
        return answer(202)
      case 'GET management/boot_device':
        return answer(200, this.#bootDevices.get(node) ?? { boot_device: null, persistent: null })
      case 'PUT management/boot_device':
        this.#bootDevices.set(node, { boot_device: one.boot_device, persistent: one.persistent })
        return answer(204)
      case 'GET management/boot_device/supported':
        return answer(200, { supported_boot_devices: ['pxe', 'disk'] })
      case 'GET states/console':
        return answer(200, { console_enabled: false, console_info: null })
      default:
        throw new Refusal(404, `${call} of a node is unknown here`)
    }
  }

  #createNode(body: Row): Row {
    const { driver, name = null } = body
    if (typeof driver !== 'string') throw new Refusal(400, "'driver' is a required property")
    if (!Object.hasOwn(driverTable, driver))
      throw new Refusal(400, `No valid host was found. Reason: no driver ${driver}`)
    if (name !== null && this.#nodes.some(row => row.name === name)) {
      throw new Refusal(409, `A node with name ${name} already exists.`)
    }
    const uuid = body.uuid ?? uuidOf(++this.#count)
    const node: Row = {
      uuid,
      name,
      created_at: at(this.#count),
      updated_at: null,
      instance_uuid: null,
      power_state: null,
      target_power_state: null,
      provision_state: 'enroll',
      target_provision_state: null,
      last_error: null,
      maintenance: false,
      maintenance_reason: null,
      driver_info: {},
      driver_internal_info: {},
      properties: {},
      extra: {},
      instance_info: {},
      deploy_step: {},
      clean_step: {},
      traits: [],
      ...defaults,
      ...Object.fromEntries(interfaces.map(it => [`${it}_interface`, 'fake'])),
      ...body,
      links: [{ href: `${this.url}/v1/nodes/${uuid}`, rel: 'self' }],
    }
    this.#nodes.push(node)
    return node
  }

  #createPort(body: Row): Row {
    const { node_uuid, node_ident, address, ...rest } = body
    const node = this.#nodes.find(({ uuid, name }) => uuid === node_uuid || (node_ident && name === node_ident))
    if (!node) throw new Refusal(400, `Node ${node_uuid ?? node_ident} could not be found.`)
    if (this.#ports.some(row => row.address === address)) {
      throw new Refusal(409, `A port with MAC address ${address} already exists.`)
    }
    const port: Row = {
      uuid: uuidOf(++this.#count),
      address,
      node_uuid: node.uuid,
      created_at: at(this.#count),
      updated_at: null,
      extra: {},
      internal_info: {},
      local_link_connection: {},
      pxe_enabled: true,
      portgroup_uuid: null,
      physical_network: null,
      is_smartnic: false,
      name: null,
      description: null,
      vendor: null,
      category: null,
      ...rest,
      links: [],
    }
    this.#ports.push(port)
    return port
  }

  #find(rows: readonly Row[], kind: string, name: string): Row {
    const row = rows.find(({ uuid, name: own }) => uuid === name || own === name)
    if (!row) throw new Refusal(404, `${kind} ${name} could not be found.`)
    return row
  }

  #list({
    rows,
    key,
    query,
    short,
  }: {
    rows: Row[]
    key: string
    query: URLSearchParams
    short: string[] | undefined
  }) {
    const control = ['limit', 'marker', 'fields', 'detail']
    const wanted = [...query].filter(([name]) => !control.includes(name))
    const matching = rows.filter(row =>
      wanted.every(([name, value]) => {
        if (name === 'node')
          return row.node_uuid === value || this.#nodes.some(it => it.name === value && it.uuid === row.node_uuid)
        if (name === 'associated') return (row.instance_uuid !== null) === (value === 'True')
        return String(row[name]).toLowerCase() === value.toLowerCase()
      }),
    )
    const marker = query.get('marker')
    const from = marker ? matching.findIndex(({ uuid }) => uuid === marker) + 1 : 0
    const limit = Number(query.get('limit') ?? 1000)
    const page = matching.slice(from, from + Math.min(limit, pageCeiling))
    const next = new URL(`${this.url}/v1/${key}?${query}`)
    next.searchParams.set('marker', String(page.at(-1)?.uuid))
    const fields = query.get('fields')
    const items = page.map(row => selected(row, fields ?? short?.join(',') ?? null))
    return { [key]: items, ...(page.length >= Math.min(limit, pageCeiling) && { next: next.href }) }
  }

  #startVerb(node: Row, { target: verb, ...body }: Row): void {
    const state = String(node.provision_state)
    const known = Object.hasOwn(verbs, String(verb)) ? (verb as Verb) : undefined
    const first = known && isProvisionState(state) ? verbTarget(state, known) : undefined
    if (!known || !first) {
      throw new Refusal(
        400,
        `The requested action "${verb}" can not be performed on node "${node.uuid}" while it is in state "${state}".`,
      )
    }
    if (body.configdrive) node.instance_info = { ...(node.instance_info as Row), configdrive: '******' }
    const [started, ...stages] = (known === 'active' ? this.nextDeploy : undefined) ?? usualStages(known, first)
    this.nextDeploy = undefined
    this.#stages.set(node, stages)
    this.#enter(node, started)
  }

  #advance(node: Row): void {
    this.#enter(node, this.#stages.get(node)?.shift())
  }

  #enter(node: Row, stage: Stage | undefined): void {
    if (!stage) return
    const { progress = null, deploy_step = {}, last_error = null, ...rest } = stage
    Object.assign(node, rest, { deploy_step, last_error, driver_internal_info: { progress } })
  }
}

const pageCeiling = 3
const interfaceFields = interfaces.map(name => `${name}_interface`)
const mebibyte = 1024 * 1024

export function writing(done: number, total: number): Progress {
  return {
    step: 'deploy.write_image',
    phase: 'writing image',
    bytes: done * mebibyte,
    total_bytes: total * mebibyte,
    rate_bytes_per_s: 50 * mebibyte,
    eta_s: (total - done) / 50,
    updated_at: at(done),
  }
}

function usualStages(verb: Verb, first: ProvisionState): Stage[] {
  const [middle, end]: [ProvisionState[], ProvisionState] = (() => {
    switch (verb) {
      case 'active':
      case 'rebuild':
        return [['deploying', 'wait call-back', 'deploying'], 'active']
      case 'deleted':
        return [['deleting', 'cleaning'], 'available']
      case 'provide':
        return [['cleaning', 'clean wait'], 'available']
      default:
        return [[first], 'manageable']
    }
  })()
  const stages = middle.map(provision_state => ({ provision_state, target_provision_state: end }))
  return [...stages, { provision_state: end, target_provision_state: null, power_state: 'power off' }]
}

function selected(row: Row, fields: string | null): Row {
  if (fields === null) return row
  const names = [...fields.split(','), 'links']
  const unknown = names.filter(name => !(name in row))
  if (unknown.length > 0) throw new Refusal(400, `Field(s) "${unknown.join(', ')}" are not valid.`)
  return Object.fromEntries(names.map(name => [name, row[name]]))
}

/** JSON patch as the API has it: add and replace set, remove takes a key away or a field back to its default. */
function patch(row: Row, operations: unknown, patchable: readonly string[]): Row {
  if (!Array.isArray(operations)) throw new Refusal(400, 'a patch is a list')
  const next = structuredClone(row)
  for (const { op, path, value } of operations as { op: string; path: string; value?: unknown }[]) {
    const [, field = '', ...keys] = path.split('/')
    if (!patchable.includes(field)) throw new Refusal(400, `Cannot patch ${path}`)
    let holder = next
    for (const key of [field, ...keys].slice(0, -1)) holder = holder[key] as Row // objects all the way, or it is a 500
    const last = keys.at(-1) ?? field
    if (op !== 'remove') holder[last] = value
    else if (keys.length === 0)
      holder[last] = Object.hasOwn(defaults, last) ? defaults[last] : interfaceFields.includes(last) ? 'fake' : null
    else if (!delete holder[last]) throw new Refusal(400, `Nothing at ${path}`)
  }
  return Object.assign(row, next, { updated_at: at(59) })
}

const driverTable: Record<string, Row> = {
  redfish: {
    name: 'redfish',
    type: 'dynamic',
    hosts: ['host-1'],
    default_boot_interface: 'ipxe',
    enabled_boot_interfaces: ['ipxe', 'pxe'],
  },
  'fake-hardware': {
    name: 'fake-hardware',
    type: 'dynamic',
    hosts: ['host-1', 'host-2'],
    default_boot_interface: 'fake',
    enabled_boot_interfaces: ['fake'],
  },
}

function drivers(name: string, sub: string | undefined): unknown {
  if (name === '') return { drivers: Object.values(driverTable).map(row => ({ ...row, links: [], properties: [] })) }
  const found = driverTable[name]
  if (!found) throw new Refusal(404, `The driver ${name} is unknown or no conductor serves it.`)
  if (sub === 'properties') return { redfish_password: 'the password', redfish_address: 'address of the BMC' }
  return { ...found, links: [], properties: [] }
}

function conductors(name: string): unknown {
  const row = {
    hostname: 'host-1',
    conductor_group: '',
    alive: true,
    drivers: ['redfish'],
    created_at: at(0),
    updated_at: null,
    links: [],
  }
  if (name === '') return { conductors: [row] }
  if (name !== row.hostname) throw new Refusal(404, `Conductor ${name} could not be found.`)
  return row
}

if (import.meta.main) console.log((await startFakeApi({ port: Number(process.argv[2] ?? 0) })).url)
