/**
 * How an endpoint is declared: everything the frame needs to route, gate, check and document it stands beside its
 * handler. A resource is one file that exports a list of these; the frame (app.ts) does the rest.
 *
 * Path parameters are typed by how their names end: `_ident` is a UUID or a name, `_uuid` a UUID, others any text.
 */
import type { Static, TSchema } from 'typebox'
import type { Caller, ConductorService } from '#conductor/conductor.ts'
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import type { Sightings } from '#db/sightings.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'
import type { Minor } from '#protocol/microversion.ts'
import type { Identity } from './auth.ts'
import type { EventHub } from './event-hub.ts'
import type { FleetSource } from './fleet.ts'
import type { Links } from './links.ts'
import type { Parameters, ValuesOf } from './parameters.ts'
import type { Target } from './policy/policy.ts'

/** What every handler may use. */
export interface World {
  readonly db: Db
  readonly conductor: ConductorService
  readonly config: ServerConfig
  readonly log: Log
  readonly clock: Clock
  readonly fleet: FleetSource
  readonly sightings: Sightings
  readonly hub: EventHub
}

/** The groups of options that the API reads. */
export type ServerConfig = Pick<
  Config,
  | 'DEFAULT'
  | 'api'
  | 'conductor'
  | 'agent'
  | 'agent_containers'
  | 'deploy'
  | 'ferrite'
  | 'healthcheck'
  | 'cors'
  | 'oslo_middleware'
>

/** One request on its way through a handler. */
export interface Call<P = unknown, Q = unknown, B = unknown> extends World {
  readonly version: Minor
  readonly params: P
  /** Parameters of the query, and named arguments of the body. */
  readonly query: Q
  /** The whole body, checked by the endpoint's schema. */
  readonly body: B
  /** The path as it was asked for, for links to the next page. */
  readonly path: string
  /** The query as it came. */
  readonly given: Readonly<Record<string, unknown>>
  readonly links: Links
  /** A header of the request, by its name in lower case. */
  header(name: string): string | undefined
  /** IP address that the request came from. */
  readonly address: string
  readonly caller: Caller
  readonly identity: Identity
  /** Checks the endpoint's policies; every handler calls it before it tells or does anything. @throws Forbidden */
  allow(target: Target | null): void
  /** Whether a policy by its name lets the caller do it. */
  may(policy: string, target: Target | null): boolean
  /** Whether there is a rule of this name; some exist only where an operator writes them. */
  restricts(policy: string): boolean
}

/** What a handler hands back; the status stands in the declaration. */
export interface Answer {
  /** JSON: as text, or as bytes where it is long (a socket encodes long texts slowly). Without it the answer has no body and no Content-Type. */
  json?: string | Buffer
  /** A text that is sent as it comes; ends when it ends, or the client goes. */
  stream?: { type: string; body: AsyncIterable<string> }
  location?: string
  /** 202 instead of the declared status; of an endpoint that says that it may. */
  accepted?: true
}

export interface Declaration<Path extends string, Q extends Parameters, A extends Parameters, B extends TSchema> {
  /** `node.list`; the key of documentation and policy. */
  readonly id: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: Path
  /** The first version that has it. */
  readonly from: string
  /** What older requests get. Default 404. */
  readonly below?: 404 | 405 | 406
  /** Versions before `from` that have it all the same (one old ramdisk's quirk). */
  readonly alsoAt?: readonly string[]
  /** Status of success. */
  readonly status: 200 | 201 | 202 | 204
  /** Some calls are answered by 202 without a body instead. */
  readonly mayAccept?: true
  /** Policy in Ironic's names, alternatives in order; `public` needs no authentication. */
  readonly policy: 'public' | readonly string[]
  readonly query?: Q
  /** Named arguments: in a JSON body, or in the query. */
  readonly args?: A
  /** The whole body. */
  readonly body?: B
  /** Success's body at the newest version; null where there is none. */
  readonly response: TSchema | null
  /** Which limit of the body's size holds. Default: that of all. */
  readonly bodySize?: 'provision' | 'inspection'
  /** The answer may be a stream of this type, where callers ask for it. */
  readonly streams?: string
  /** Answered even when others have to queue: machines depend on it. */
  readonly urgent?: true
  readonly doc?: string
  handle(
    call: Call<PathValues<Path>, ValuesOf<Q> & ValuesOf<A>, Static<B>>,
  ): Answer | undefined | Promise<Answer | undefined>
}

export type Endpoint = Declaration<string, Parameters, Parameters, TSchema>

type PathValues<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? { readonly [K in Name]: string } & PathValues<Rest>
  : unknown

/** Types the handler by the declaration around it. */
export function endpoint<
  const Path extends string,
  const Q extends Parameters = Record<never, never>,
  const A extends Parameters = Record<never, never>,
  const B extends TSchema = TSchema,
>(declaration: Declaration<Path, Q, A, B>): Endpoint {
  // The frame reads the request by this very declaration, so what the handler gets is what its types say.
  return declaration as unknown as Endpoint
}
