/**
 * The parts that the routes of the emulator are made of: what a route is, how its path is written, how it answers. No
 * resource is known here.
 */
import { RedfishError } from './messages.ts'
import { collection, type Resource } from './resources.ts'

export type Body = Record<string, unknown>

export interface Call {
  body: Body
  headers: Headers
  /** What the path's pattern caught. */
  id: string
}

export interface Route {
  path: RegExp
  /** Needs no account: what DSP0266 says must be readable before one logs in. */
  open?: boolean
  get?: (call: Call) => Resource | null
  patch?: (call: Call) => Promise<void> | void
  post?: (call: Call) => Promise<Response> | Response
  delete?: (call: Call) => Response
}

/** A path with at most one `*`, which stands for the id in it. */
export function at(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('$', '\\$').replaceAll('.', '\\.').replace('*', '([^/]+)')}$`)
}

/** A collection of what has these ids. */
export function members(path: string, type: string, ids: () => readonly string[]): Route {
  const paths = () => ids().map(id => `${path}/${id}`)
  return { path: at(path), get: () => collection(path, type, paths()) }
}

/** The parameters of an action. @throws RedfishError for one that is missing or unknown */
export function parameters(
  action: string,
  body: Body,
  required: readonly string[],
  optional: readonly string[] = [],
): Body {
  for (const name of required) if (!(name in body)) throw new RedfishError('ActionParameterMissing', action, name)
  for (const name of Object.keys(body)) {
    if (!required.includes(name) && !optional.includes(name))
      throw new RedfishError('ActionParameterUnknown', action, name)
  }
  return body
}

export function json(status: number, body: Resource, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      'Content-Type': 'application/json; charset=utf-8',
      'OData-Version': '4.0',
      'Cache-Control': 'no-cache',
      ...headers,
    },
  })
}

export function noContent(): Response {
  return new Response(null, { status: 204, headers: { 'OData-Version': '4.0' } })
}

/** Work that goes on: where its task is found. */
export function accepted(task: Resource): Response {
  return json(202, task, { Location: `${task['@odata.id']}/Monitor` })
}
