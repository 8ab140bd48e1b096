/** Drivers: the hardware types that live conductors offer. Source: REST API reference, "Drivers". */
import { type TSchema, Type } from 'typebox'
import { listConductors, listInterfaces } from '#db/conductors.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { type InterfaceType, interfaceTypes } from '#protocol/interfaces.ts'
import { type Minor, minorOf, versionText } from '#protocol/microversion.ts'
import { Link, nodeFields } from '#protocol/node.ts'
import { type Answer, type Call, type Endpoint, endpoint, type World } from '../endpoint.ts'
import { NotAcceptable } from '../faults.ts'
import { gated } from '../openapi/gates.ts'
import { boolean, list, text, word } from '../parameters.ts'

/** Interface types with the version from which a driver shows them. */
const shownFrom = new Map<InterfaceType, Minor>(
  interfaceTypes.map(type => {
    const from = minorOf(nodeFields[`${type}_interface`].from)
    // The first ones came with hardware types as such, before nodes showed them.
    return [type, from <= 31 ? 30 : from]
  }),
)

export interface Driver {
  name: string
  hosts: string[]
  /** Names by type; the default first, where there is one. */
  interfaces: Map<InterfaceType, { enabled: string[]; preferred: string | null }>
}

/** What live conductors offer, by name. */
async function liveDrivers({ db, clock, config }: World): Promise<Map<string, Driver>> {
  const oldestMs = clock.now() - config.conductor.heartbeat_timeout * 1000
  const alive = new Set(
    (await listConductors(db)).filter(one => one.online && one.updatedAtMs >= oldestMs).map(one => one.hostname),
  )
  const drivers = new Map<string, Driver>()
  for (const row of await listInterfaces(db)) {
    if (!alive.has(row.hostname)) continue
    const driver: Driver = drivers.get(row.hardware_type) ?? {
      name: row.hardware_type,
      hosts: [],
      interfaces: new Map(),
    }
    drivers.set(row.hardware_type, driver)
    if (!driver.hosts.includes(row.hostname)) driver.hosts.push(row.hostname)
    const type = driver.interfaces.get(row.interface_type) ?? { enabled: [], preferred: null }
    driver.interfaces.set(row.interface_type, type)
    if (!type.enabled.includes(row.interface_name)) type.enabled.push(row.interface_name)
    if (row.is_default) type.preferred ??= row.interface_name
  }
  return new Map([...drivers].sort(([a], [b]) => (a < b ? -1 : 1)))
}

function view(driver: Driver, { base, version, detail }: { base: string; version: Minor; detail: boolean }) {
  const links = (part: string) => [
    { href: `${base}/v1/drivers/${driver.name}${part}`, rel: 'self' },
    { href: `${base}/drivers/${driver.name}${part}`, rel: 'bookmark' },
  ]
  const document: Record<string, unknown> = { name: driver.name, hosts: driver.hosts, links: links('') }
  if (version >= 14) document.properties = links('/properties')
  if (version >= 30) document.type = 'dynamic'
  if (!detail) return document
  for (const [type, from] of shownFrom) {
    if (version < from) continue
    const known = driver.interfaces.get(type)
    document[`default_${type}_interface`] = known?.preferred ?? null
    document[`enabled_${type}_interfaces`] = known?.enabled ?? []
  }
  return document
}

const fieldsFrom: Readonly<Record<string, Minor>> = {
  name: 1,
  hosts: 1,
  links: 1,
  properties: 14,
  type: 30,
  ...Object.fromEntries(
    [...shownFrom].flatMap(([type, from]) => [
      [`default_${type}_interface`, from],
      [`enabled_${type}_interfaces`, from],
    ]),
  ),
}

/** @throws InvalidInput, NotAcceptable */
function checkFields(names: readonly string[], version: Minor): void {
  for (const name of names) {
    const from = Object.hasOwn(fieldsFrom, name) ? fieldsFrom[name] : undefined
    if (from === undefined) throw new InvalidInput(`Cannot select the field ${name}: there is none`)
    if (from > version) throw new NotAcceptable(`The field ${name} needs version ${versionText(from)}`)
  }
}

function pick(document: Readonly<Record<string, unknown>>, names: readonly string[] | undefined) {
  if (names === undefined) return document
  return Object.fromEntries(Object.entries(document).filter(([name]) => name === 'links' || names.includes(name)))
}

/** @throws NotFound when no live conductor offers it */
export async function mustFindDriver(call: Call<{ driver_name: string }>): Promise<Driver> {
  call.allow(null)
  const name = call.params.driver_name
  const driver = (await liveDrivers(call)).get(name)
  if (!driver) throw new NotFound(`Driver ${name.slice(0, 80)} could not be found: no live conductor offers it`)
  return driver
}

const fields = list({ from: '1.77' })
const properties: Record<string, TSchema> = {
  name: Type.Optional(Type.String()),
  hosts: Type.Optional(Type.Array(Type.String())),
  links: Type.Array(Link),
  properties: Type.Optional(Type.Array(Link)),
  type: Type.Optional(Type.Literal('dynamic')),
}
for (const type of interfaceTypes) {
  properties[`default_${type}_interface`] = Type.Optional(Type.Union([Type.String(), Type.Null()]))
  properties[`enabled_${type}_interfaces`] = Type.Optional(Type.Array(Type.String()))
}
const DriverAnswer = gated(
  Type.Object(properties, { additionalProperties: false }),
  Object.fromEntries(Object.entries(fieldsFrom).map(([name, from]) => [name, { from: versionText(from) }])),
)

/** What each setting means, by its name. */
const DriverProperties = Type.Record(Type.String(), Type.String())

export const drivers: readonly Endpoint[] = [
  endpoint({
    id: 'driver.list',
    method: 'GET',
    path: '/v1/drivers',
    from: '1.1',
    status: 200,
    policy: ['baremetal:driver:get'],
    query: { type: word(['classic', 'dynamic'], { from: '1.30' }), detail: boolean({ from: '1.30' }), fields },
    response: Type.Object({ drivers: Type.Array(DriverAnswer) }),
    async handle(call) {
      call.allow(null)
      const { query, version, links } = call
      if (query.fields !== undefined && query.detail === true) {
        throw new InvalidInput('Cannot list with both fields and detail; expected one of them')
      }
      checkFields(query.fields ?? [], version)
      const detail = query.detail === true || query.fields !== undefined
      const all = query.type === 'classic' ? [] : [...(await liveDrivers(call)).values()]
      const shown = all.map(driver => pick(view(driver, { base: links.base, version, detail }), query.fields))
      return { json: JSON.stringify({ drivers: shown }) }
    },
  }),
  endpoint({
    id: 'driver.get',
    method: 'GET',
    path: '/v1/drivers/{driver_name}',
    from: '1.1',
    status: 200,
    policy: ['baremetal:driver:get'],
    query: { fields },
    response: DriverAnswer,
    async handle(call) {
      const { query, version, links } = call
      checkFields(query.fields ?? [], version)
      const driver = await mustFindDriver(call)
      return { json: JSON.stringify(pick(view(driver, { base: links.base, version, detail: true }), query.fields)) }
    },
  }),
  endpoint({
    id: 'driver.properties',
    method: 'GET',
    path: '/v1/drivers/{driver_name}/properties',
    from: '1.1',
    status: 200,
    policy: ['baremetal:driver:get_properties'],
    response: DriverProperties,
    async handle(call) {
      return propertiesOf(call, (await mustFindDriver(call)).name)
    },
  }),
  endpoint({
    id: 'driver.propertiesByQuery',
    method: 'GET',
    path: '/v1/drivers/properties',
    from: '1.1',
    status: 200,
    policy: ['baremetal:driver:get_properties'],
    query: { driver_name: text({ required: true }) },
    response: DriverProperties,
    async handle(call) {
      const params = { driver_name: call.query.driver_name }
      return propertiesOf(call, (await mustFindDriver({ ...call, params })).name)
    },
  }),
]

async function propertiesOf(call: Call, driver: string): Promise<Answer> {
  const settings = await call.conductor.driverProperties(driver)
  const described = Object.entries(settings).map(([key, { description, required }]) => [
    key,
    required ? `${description} Required.` : description,
  ])
  return { json: JSON.stringify(Object.fromEntries(described)) }
}
