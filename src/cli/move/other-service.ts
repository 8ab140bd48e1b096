/**
 * The other service of a move: where it is and who calls it there. It takes every setting that the client takes for its
 * own service, from variables of the same names with a prefix: FROM_OS_AUTH_URL, TO_OS_PASSWORD …
 */
import { Api, type ApiSettings } from '../client.ts'
import type { Context, Options } from '../command.ts'
import { apiSettings } from '../global-options.ts'

export type Direction = 'from' | 'to'

const url = { takes: 'text', metavar: 'url' } as const
const cloud = { takes: 'text', metavar: 'name', about: 'a cloud of clouds.yaml, instead of an URL' } as const

/** Where the other service is, as options of a command. */
export const otherServiceOptions = {
  from: {
    from: { ...url, about: 'the other service; who calls there comes from FROM_OS_USERNAME and the like' },
    'from-cloud': cloud,
  },
  to: {
    to: { ...url, about: 'the other service; who calls there comes from TO_OS_USERNAME and the like' },
    'to-cloud': cloud,
  },
} satisfies Record<Direction, Options>

export interface OtherService {
  readonly api: Api
  /** The newest microversion of the service, such as 1.82. */
  readonly newest: string
  /** The same service, asked in another version. */
  at(version: string): Api
}

/** @throws UsageError, Unreachable, and what logging in may throw */
export async function otherService(
  direction: Direction,
  given: { readonly url: string | undefined; readonly cloud: string | undefined },
  { terminal, reporter }: Pick<Context, 'terminal' | 'reporter'>,
): Promise<OtherService> {
  const prefix = `${direction.toUpperCase()}_`
  // Where clouds.yaml lies is this person's, not the service's.
  const { HOME, XDG_CONFIG_HOME, OS_CLIENT_CONFIG_FILE, OS_CLIENT_SECURE_FILE } = terminal.env
  const own = Object.entries(terminal.env).flatMap(([name, value]) =>
    name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
  )
  const env = { HOME, XDG_CONFIG_HOME, OS_CLIENT_CONFIG_FILE, OS_CLIENT_SECURE_FILE, ...Object.fromEntries(own) }
  const settings: ApiSettings = await apiSettings(
    {
      ...(given.url === undefined ? {} : { endpoint: given.url }),
      ...(given.cloud === undefined ? {} : { 'os-cloud': given.cloud }),
    },
    { env, sleep: ms => terminal.sleep(ms) },
    reporter,
  )
  const api = new Api(settings)
  return { api, newest: await newestOf(api), at: version => new Api({ ...settings, version }) }
}

/** The newest microversion that a service and this client know. */
export async function newestOf(api: Api): Promise<string> {
  const { version } = await api.get('/v1')
  const { version: newest } = (version ?? {}) as { version?: unknown } // an object where the service is one
  return typeof newest === 'string' ? newest : '1.1'
}
