/** Paths as requests write them and as the router knows them. Source: REST API reference, "Documents at the root". */
import { withoutSlashesAtEnd } from '#lib/slashes.ts'
import { type Minor, minorOf } from '#protocol/microversion.ts'
import type { Endpoint } from './endpoint.ts'

const nowhere: ReadonlySet<string> = new Set()

/** Paths of endpoints that are no part of v1. */
export function outsideOf(endpoints: readonly Endpoint[]): Set<string> {
  return new Set(endpoints.map(one => one.path).filter(path => !path.startsWith('/v1')))
}

/**
 * The path with `/v1` in front where it is left out, and without slashes at its end; the query stays.
 * @param outside paths that are no part of v1
 * @param foldersOutside paths that are none either, with all below them
 */
export function normalPath(url: string, outside = nowhere, foldersOutside: readonly string[] = []): string {
  const question = url.indexOf('?')
  const path = withoutSlashesAtEnd(question < 0 ? url : url.slice(0, question))
  const query = question < 0 ? '' : url.slice(question)
  if (path === '') return `/${query}`
  if (outside.has(path)) return path + query
  if (foldersOutside.some(folder => path === folder || path.startsWith(`${folder}/`))) return path + query
  const whole = path === '/v1' || path.startsWith('/v1/') ? path : `/v1${path}`
  return whole + query
}

const collections = 'ports|portgroups|volume/connectors|volume/targets'
const below: readonly RegExp[] = [
  new RegExp(`^/v1/nodes/[^/]+/(${collections})(/[^/]+)?$`),
  /^\/v1\/portgroups\/[^/]+\/(ports)(\/[^/]+)?$/,
  /^\/v1\/chassis\/[^/]+\/(nodes)(\/.+)?$/,
]
const portsOfGroup = /^\/v1\/nodes\/[^/]+\/portgroups\/[^/]+\/ports(\/.*)?$/

/**
 * Why nothing can be there, or nothing be written: things have one place of their own, and below what they belong to
 * only lists of them.
 */
export function misplaced(path: string): { status: 400 | 403; expected: string } | undefined {
  if (portsOfGroup.test(path)) return { status: 403, expected: '/v1/portgroups/{portgroup}/ports' }
  for (const regex of below) {
    const [, collection] = regex.exec(path) ?? []
    if (collection !== undefined) return { status: 400, expected: `/v1/${collection}/{uuid}` }
  }
  return undefined
}

export interface RouteTable {
  /** Methods that a version has at a path. */
  methodsOf(path: string, version: Minor): string[]
}

export function routeTable(endpoints: readonly Endpoint[]): RouteTable {
  const table = endpoints.map(({ method, path, from }) => ({
    method,
    minor: minorOf(from),
    regex: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
  }))
  return {
    methodsOf(path, version) {
      const known = table.filter(({ regex, minor }) => version >= minor && regex.test(path))
      return [...new Set(known.map(({ method }) => method))].sort()
    },
  }
}
