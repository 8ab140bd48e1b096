/**
 * Reads the URL of a database: which engine it is and how to reach it. Opens nothing. A message about a URL never
 * repeats it, because a password may stand in it.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { InvalidInput, messageOf } from '#lib/fault.ts'

export type Connection = { engine: 'sqlite'; path: string } | ({ engine: 'postgresql' } & PostgresAddress)

export interface PostgresAddress {
  /** A name or address, or the folder of a unix socket. */
  host: string
  port: number
  user: string
  password: string | undefined
  database: string
  tls: ConnectionOptions | false
  /** Settings of every session, as `-c name=value`. */
  sessionOptions: string | undefined
  /** Seconds that connecting may take; undefined where the URL does not say. */
  connectTimeoutS: number | undefined
}

/** What follows `postgresql` in the URLs of Python's database library names a driver, which is not ours. */
const postgres = /^postgres(?:ql)?(?:\+\w+)?:$/
const sslmodes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
const known = ['host', 'port', 'user', 'password', 'dbname', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey'].concat(
  'application_name',
  'connect_timeout',
  'options',
)

/**
 * `sqlite:///relative`, `sqlite:////absolute`, `sqlite://` (in memory), or `postgresql://USER:PASSWORD@HOST:PORT/NAME`
 * with the options of libpq after `?`; a text without a scheme is a path, or `:memory:`.
 * @throws InvalidInput
 */
export function readConnection(text: string): Connection {
  const [, scheme] = /^([a-z][a-z0-9+]*:)\/\//i.exec(text) ?? []
  if (scheme === undefined) return { engine: 'sqlite', path: text === ':memory:' ? text : resolve(text) }
  if (/^sqlite(\+\w+)?:$/.test(scheme)) return { engine: 'sqlite', path: sqlitePath(text) }
  if (postgres.test(scheme)) return { engine: 'postgresql', ...postgresAddress(text) }
  throw new InvalidInput(
    `Cannot open the database: its URL begins with "${scheme}//"; expected sqlite:///PATH or postgresql://USER@HOST/NAME`,
  )
}

function sqlitePath(text: string): string {
  const path = text.replace(/^[^:]+:\/\//, '').replace(/\?.*$/, '')
  if (path === '' || path === '/:memory:') return ':memory:'
  return resolve(path.slice(1))
}

function postgresAddress(text: string): PostgresAddress {
  const url = URL.parse(text)
  if (!url) {
    throw new InvalidInput(
      'Cannot open the database: the URL of PostgreSQL cannot be read; expected ' +
        'postgresql://USER:PASSWORD@HOST:PORT/NAME, with special characters of the password as %XX',
    )
  }
  const options = url.searchParams
  for (const name of options.keys()) {
    if (known.includes(name)) continue
    throw new InvalidInput(`Cannot open the database: its URL has the option "${name}"; known are ${known.join(', ')}`)
  }
  const host = options.get('host') ?? (decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '') || 'localhost')
  const database = options.get('dbname') ?? decodeURIComponent(url.pathname.slice(1))
  const user = options.get('user') ?? decodeURIComponent(url.username)
  if (database === '') throw new InvalidInput('Cannot open the database: its URL names none; expected …HOST/NAME')
  if (user === '') throw new InvalidInput('Cannot open the database: its URL names no user; expected …//USER@HOST/NAME')
  const timeout = options.get('connect_timeout')
  return {
    host,
    port: Number(options.get('port') ?? (url.port || 5432)),
    user,
    password: options.get('password') ?? (url.password === '' ? undefined : decodeURIComponent(url.password)),
    database,
    tls: host.startsWith('/') ? false : tlsOf(options),
    sessionOptions: options.get('options') ?? undefined,
    connectTimeoutS: timeout === null ? undefined : Number(timeout),
  }
}

/**
 * `sslmode` as libpq has it, but for `allow` and `prefer`: where TLS is not asked for, none is tried.
 * Source: PostgreSQL manual, "Database Connection Control Functions" and "SSL Support"
 */
function tlsOf(options: URLSearchParams): ConnectionOptions | false {
  const mode = options.get('sslmode') ?? 'prefer'
  if (!(sslmodes as readonly string[]).includes(mode)) {
    throw new InvalidInput(`Cannot open the database: sslmode "${mode}" of its URL is none of ${sslmodes.join(', ')}`)
  }
  if (mode === 'disable' || mode === 'allow' || mode === 'prefer') return false
  const ca = fileOf(options, 'sslrootcert')
  const cert = fileOf(options, 'sslcert')
  const key = fileOf(options, 'sslkey')
  return {
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
    // "require" trusts any server unless it is told of a CA.
    rejectUnauthorized: mode !== 'require' || ca !== undefined,
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  }
}

function fileOf(options: URLSearchParams, name: string): string | undefined {
  const path = options.get(name)
  if (path === null) return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new InvalidInput(`Cannot open the database: ${name} of its URL cannot be read: ${messageOf(error)}`)
  }
}
