/** Conductors: the processes that work on nodes. Source: REST API reference, "Conductors". */
import { Type } from 'typebox'
import { listConductors, listInterfaces } from '#db/conductors.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { Nullable, Time } from '#protocol/field.ts'
import { Link } from '#protocol/node.ts'
import { listSchema, nextUrl, paging } from '../collection.ts'
import { type Answer, type Call, type Endpoint, endpoint, type World } from '../endpoint.ts'
import { boolean, host, list } from '../parameters.ts'

const short = ['hostname', 'conductor_group', 'alive', 'links']
const sortable = ['hostname', 'conductor_group', 'created_at', 'updated_at'] as const

const ConductorAnswer = Type.Object(
  {
    hostname: Type.Optional(Type.String()),
    conductor_group: Type.Optional(Type.String()),
    alive: Type.Optional(Type.Boolean()),
    drivers: Type.Optional(Type.Array(Type.String())),
    created_at: Type.Optional(Time),
    updated_at: Type.Optional(Nullable(Time)),
    links: Type.Array(Link),
  },
  { additionalProperties: false },
)
const names = Object.keys(ConductorAnswer.properties)

async function everyConductor({ db, clock, config }: World, base: string) {
  const oldestMs = clock.now() - config.conductor.heartbeat_timeout * 1000
  const interfaces = await listInterfaces(db)
  const rows = await listConductors(db)
  return rows.map(row => ({
    hostname: row.hostname,
    conductor_group: row.conductor_group,
    alive: row.online && row.updatedAtMs >= oldestMs,
    drivers: [...new Set(interfaces.filter(one => one.hostname === row.hostname).map(one => one.hardware_type))].sort(),
    created_at: row.created_at,
    updated_at: row.updated_at,
    links: [
      { href: `${base}/v1/conductors/${row.hostname}`, rel: 'self' },
      { href: `${base}/conductors/${row.hostname}`, rel: 'bookmark' },
    ],
  }))
}

function pick(document: Readonly<Record<string, unknown>>, wanted: readonly string[]) {
  return Object.fromEntries(Object.entries(document).filter(([name]) => name === 'links' || wanted.includes(name)))
}

function checkFields(wanted: readonly string[]): readonly string[] {
  const unknown = wanted.find(name => !names.includes(name))
  if (unknown !== undefined) throw new InvalidInput(`Cannot select the field ${unknown}: there is none`)
  return wanted
}

interface Query {
  readonly limit: number | undefined
  readonly marker: string | undefined
  readonly sort_key: string | undefined
  readonly sort_dir: 'asc' | 'desc' | undefined
  readonly fields: readonly string[] | undefined
  readonly detail: boolean | undefined
}

async function listThem(call: Call<unknown, Query>): Promise<Answer> {
  call.allow(null)
  const { query, config, links } = call
  if (query.fields !== undefined && query.detail === true) {
    throw new InvalidInput('Cannot list with both fields and detail; expected one of them')
  }
  const wanted = query.fields ? checkFields(query.fields) : query.detail === true ? names : short
  const all = await everyConductor(call, links.base)
  const key = sortable.find(one => one === (query.sort_key ?? 'hostname'))
  if (!key && query.sort_key !== 'id') {
    throw new InvalidInput(`Cannot sort by ${query.sort_key}: expected one of ${sortable.join(', ')}`)
  }
  // In the order of registration for `id`; there are few of them, so they are sorted here.
  const by = key ?? 'created_at'
  all.sort((a, b) => (String(a[by]) < String(b[by]) ? -1 : String(a[by]) > String(b[by]) ? 1 : 0))
  if (query.sort_dir === 'desc') all.reverse()
  const start = query.marker === undefined ? 0 : all.findIndex(one => one.hostname === query.marker) + 1
  if (query.marker !== undefined && start === 0) {
    throw new NotFound(`Cannot list after ${query.marker}: there is no such conductor`)
  }
  const limit = Math.min(query.limit ?? config.api.max_limit, config.api.max_limit)
  const page = all.slice(start, start + limit)
  const last = page.at(-1)
  const more = start + limit < all.length
  return {
    json: JSON.stringify({
      conductors: page.map(one => pick(one, wanted)),
      ...(more && last ? { next: nextUrl(call, limit, last.hostname) } : {}),
    }),
  }
}

export const conductors: readonly Endpoint[] = [
  endpoint({
    id: 'conductor.list',
    method: 'GET',
    path: '/v1/conductors',
    from: '1.49',
    status: 200,
    policy: ['baremetal:conductor:get'],
    query: { ...paging, marker: host({}), fields: list({}), detail: boolean({}) },
    response: listSchema('conductors', ConductorAnswer),
    handle: listThem,
  }),
  endpoint({
    id: 'conductor.get',
    method: 'GET',
    path: '/v1/conductors/{hostname}',
    from: '1.49',
    status: 200,
    policy: ['baremetal:conductor:get'],
    query: { fields: list({}) },
    response: ConductorAnswer,
    async handle(call) {
      call.allow(null)
      const wanted = call.query.fields ? checkFields(call.query.fields) : names
      const all = await everyConductor(call, call.links.base)
      const found = all.find(one => one.hostname === call.params.hostname)
      if (!found) throw new NotFound(`Conductor ${call.params.hostname} could not be found.`)
      return { json: JSON.stringify(pick(found, wanted)) }
    },
  }),
]
