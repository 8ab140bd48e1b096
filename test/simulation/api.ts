/** The part of the API that machines call, answered by whichever conductor is there; no socket, the same handlers. */
import type { Config } from '#config/options.ts'
import { Sightings } from '#db/sightings.ts'
import { Fault } from '#lib/fault.ts'
import { silent } from '#lib/log.ts'
import type { Endpoint } from '#server/endpoint.ts'
import { ramdisk } from '#server/resources/ramdisk.ts'
import type { Answer, Call } from '#sim/network.ts'
import type { Process } from './host.ts'

type HandlerCall = Parameters<Endpoint['handle']>[0]

/**
 * Answers a request as one process would. Never resolves when that process dies before it has answered.
 * @param onBug told of what is no fault
 */
export async function answer(
  process: Process,
  config: Config,
  { method, url, json, headers = {} }: Call,
  onBug: (error: unknown) => void,
): Promise<Answer> {
  const { pathname, searchParams } = new URL(url)
  if (pathname === '/') return { status: 200, text: JSON.stringify({ default_version: { version: '1.115' } }) }
  const found = routeOf(method, pathname)
  const given = { ...Object.fromEntries(searchParams), ...(json as object | undefined) } as Record<string, unknown> // an object
  const call = {
    db: process.db,
    conductor: process.conductor,
    sightings: sightingsOf(process),
    config,
    log: silent,
    clock: process.clock,
    version: found.endpoint.id === 'ramdisk.lookup' ? 62 : 84,
    params: found.params,
    query: { ...given, addresses: String(given.addresses ?? '').split(',') },
    body: json,
    header: (name: string) => (saysMore(found.params) ? headers[name] : undefined),
    links: { base: 'http://api' },
    address: '192.0.2.1',
    may: () => true,
    allow() {},
  } as unknown as HandlerCall // what the handlers of ramdisks look at
  try {
    const answered = await found.endpoint.handle(call)
    return { status: found.endpoint.status, text: String(answered?.json ?? '') }
  } catch (error) {
    if (error instanceof Fault) return { status: error.status, text: error.message }
    onBug(error)
    return { status: 500, text: String(error) }
  }
}

/** Every other machine runs an agent that tells no more than Ironic's does. */
function saysMore({ node_ident = '' }: { node_ident?: string }): boolean {
  return Number.parseInt(node_ident.slice(-1), 16) % 2 === 0
}

/** Of each life of a process. */
const sightings = new WeakMap<Process['db'], Sightings>()

function sightingsOf({ db, clock }: Process): Sightings {
  const known = sightings.get(db) ?? new Sightings({ db, clock })
  sightings.set(db, known)
  return known
}

function routeOf(method: string, path: string): { endpoint: Endpoint; params: Record<string, string> } {
  const endpoint = ramdisk.find(one => one.method === method && path.startsWith(one.path.replace(/\/\{.*$/, '')))
  if (!endpoint) throw new Error(`machines ask for nothing at ${method} ${path}`)
  return { endpoint, params: { node_ident: path.split('/').at(-1) ?? '' } }
}
