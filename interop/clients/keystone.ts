/**
 * A real Keystone (Debian: python3-keystone) on SQLite, with the users that role-based access needs: a private instance
 * in a directory of its own, on a free port of the loopback. Nothing of the system's Keystone is read or changed; its
 * only process ends with us.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '#lab/service-process.ts'
import { run } from '#lib/run.ts'

/** What a process needs to know of a Keystone that another one runs. */
export interface KeystoneAccess {
  /** With its /v3. */
  readonly url: string
  /** That of all users: nobody else knows this Keystone. */
  readonly password: string
}

/** The Keystone that the tests of this process use: FERRITE_CLIENT_KEYSTONE, a KeystoneAccess as JSON. */
export function keystoneOfTests(): KeystoneAccess {
  return JSON.parse(process.env.FERRITE_CLIENT_KEYSTONE ?? '') as KeystoneAccess // written by run.ts
}

/** Who there is; a user of a project has the role in both projects of `projects`. */
export const users = {
  'system-admin': { system: 'admin' },
  'system-member': { system: 'member' },
  'system-reader': { system: 'reader' },
  'project-admin': { projects: 'admin' },
  'project-manager': { projects: 'manager' },
  'project-member': { projects: 'member' },
  'project-reader': { projects: 'reader' },
  ferrite: { service: 'service' },
  nova: { service: 'service' },
} as const satisfies Record<string, Partial<Record<'system' | 'projects' | 'service', string>>>
export type UserName = keyof typeof users

/** Two projects to own and to lease nodes. */
export const projects = ['red', 'blue'] as const
export type ProjectName = (typeof projects)[number]

/** That of the users `ferrite` and `nova`. */
export const serviceProject = 'service'
const startLimitMs = 60_000

/** Where a Keystone runs: another network than ours, in a lab. */
export interface KeystoneHost {
  readonly address: string
  readonly port: number
  spawn(command: string, args: readonly string[], options: SpawnOptions): ChildProcess
  /** The same server, as this process reaches it. */
  reach(url: string): Promise<string>
}

/**
 * Starts a Keystone and fills it.
 * @param directory holds its configuration, database, keys and log; made when it is not there
 * @param host default: a free port of the loopback
 */
export async function startKeystone(directory: string, host?: KeystoneHost): Promise<KeystoneAccess & AsyncDisposable> {
  const { address, port, reach, spawn: spawnThere } = host ?? (await hereOnLoopback())
  const access = { url: `http://${address}:${port}/v3`, password: randomBytes(12).toString('hex') }
  const reached = { ...access, url: await reach(access.url) }
  await using opened = new AsyncDisposableStack()
  const configFile = await initialise(directory, access)
  const log = await open(join(directory, 'keystone.log'), 'a')
  // It is the server that comes with Keystone: one request at a time, which SQLite does not mind.
  const child = spawnThere('/usr/bin/keystone-wsgi-public', ['--host', address, '--port', String(port)], {
    stdio: ['ignore', log.fd, log.fd],
    env: { ...environment, OS_KEYSTONE_CONFIG_FILES: configFile },
  })
  await log.close()
  // Whatever ends this process takes Keystone along.
  const onExit = () => child.kill('SIGKILL')
  process.once('exit', onExit)
  child.once('exit', () => process.off('exit', onExit))
  opened.defer(() => end(child))
  await answers(child, reached.url, join(directory, 'keystone.log'))
  await populate(reached)
  const held = opened.move()
  return Object.assign(access, { [Symbol.asyncDispose]: () => held.disposeAsync() })
}

async function hereOnLoopback(): Promise<KeystoneHost> {
  const [port = 0] = await freePorts(1)
  return { address: '127.0.0.1', port, spawn, reach: async url => url }
}

/** The environment in which the clients of OpenStack are such a user. */
export function environmentOf({ url, password }: KeystoneAccess, user: UserName, project?: ProjectName) {
  const scope: Record<string, string> =
    'system' in users[user]
      ? { OS_SYSTEM_SCOPE: 'all' }
      : { OS_PROJECT_NAME: project ?? ('service' in users[user] ? serviceProject : projects[0]), ...domain.project }
  const who = { OS_AUTH_URL: url, OS_USERNAME: user, OS_PASSWORD: password, ...domain.user }
  return { OS_AUTH_TYPE: 'password', OS_IDENTITY_API_VERSION: '3', ...who, ...scope }
}

/** Tells the catalog of a service, bare metal unless told otherwise. @returns the region whose only one it is */
export async function addToCatalog(
  access: KeystoneAccess,
  endpoint: string,
  { type, name } = { type: 'baremetal', name: 'ferrite' },
): Promise<string> {
  const admin = await Admin.signIn(access)
  const region = `region-${new URL(endpoint).port}`
  await admin.create('regions', { region: { id: region } })
  const found = (await admin.get(`services?type=${type}`)) as { services: { id: string }[] } // as Keystone documents
  const known = found.services[0]?.id
  const service_id = known ?? (await admin.create('services', { service: { type, name } }))
  for (const kind of ['public', 'internal']) {
    await admin.create('endpoints', { endpoint: { service_id, region_id: region, interface: kind, url: endpoint } })
  }
  return region
}

/** @returns the ID of a project that there is */
export async function projectId(access: KeystoneAccess, name: ProjectName | typeof serviceProject): Promise<string> {
  const admin = await Admin.signIn(access)
  const found = (await admin.get(`projects?name=${name}`)) as { projects: { id: string }[] } // as Keystone documents
  return found.projects[0]?.id ?? ''
}

const domain = { user: { OS_USER_DOMAIN_ID: 'default' }, project: { OS_PROJECT_DOMAIN_ID: 'default' } }
const environment = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', LANG: 'C.UTF-8' }

/** Makes configuration, tables, keys, and the first administrator. @returns the path of the configuration */
async function initialise(directory: string, { url, password }: KeystoneAccess): Promise<string> {
  const keys = { fernet: join(directory, 'fernet-keys'), credential: join(directory, 'credential-keys') }
  for (const path of [directory, ...Object.values(keys)]) await mkdir(path, { recursive: true, mode: 0o700 })
  const configFile = join(directory, 'keystone.conf')
  const database = join(directory, 'keystone.db')
  const lines = [
    `[database]\nconnection = sqlite:///${database}\nsqlite_synchronous = false`,
    `[token]\nprovider = fernet`,
    `[fernet_tokens]\nkey_repository = ${keys.fernet}`,
    `[credential]\nkey_repository = ${keys.credential}`,
    // The least work per sign-in: each command of a client signs in anew.
    `[identity]\npassword_hash_rounds = 4\nmax_password_length = 72`,
  ]
  await writeFile(configFile, `${lines.join('\n\n')}\n`, { mode: 0o600 })
  const manage = (...args: string[]) =>
    run('/usr/bin/keystone-manage', ['--config-file', configFile, ...args], { env: environment })
  const owner = ['--keystone-user', userInfo().username, '--keystone-group', String(userInfo().gid)]
  await Promise.all([manage('db_sync'), manage('fernet_setup', ...owner), manage('credential_setup', ...owner)])
  // Keystone leaves a reading transaction open while another connection of its own commits: only a WAL allows that.
  using tables = new DatabaseSync(database)
  tables.exec('PRAGMA journal_mode = WAL')
  await run('/usr/bin/keystone-manage', ['--config-file', configFile, 'bootstrap', '--bootstrap-public-url', url], {
    env: { ...environment, OS_BOOTSTRAP_PASSWORD: password },
  })
  return configFile
}

/** What this version's bootstrap leaves out: the roles manager and service, projects, users, and who is what. */
async function populate(access: KeystoneAccess): Promise<void> {
  const admin = await Admin.signIn(access)
  const listed = (await admin.get('roles')) as { roles: { id: string; name: string }[] } // as Keystone documents
  const roles = new Map(listed.roles.map(role => [role.name, role.id]))
  for (const name of ['manager', 'service']) {
    if (!roles.has(name)) roles.set(name, await admin.create('roles', { role: { name } }))
  }
  for (const [above, below] of [['admin', 'manager'] as const, ['manager', 'member'] as const]) {
    await admin.put(`roles/${roles.get(above)}/implies/${roles.get(below)}`)
  }
  const scopes = { system: ['system'], projects: [] as string[], service: [] as string[] }
  for (const name of [...projects, serviceProject]) {
    const id = await admin.create('projects', { project: { name, domain_id: 'default' } })
    scopes[name === serviceProject ? 'service' : 'projects'].push(`projects/${id}`)
  }
  for (const [name, grants] of Object.entries(users)) {
    const id = await admin.create('users', { user: { name, domain_id: 'default', password: access.password } })
    for (const [scope, role] of Object.entries(grants)) {
      // The keys of `users` are those of `scopes`.
      for (const path of scopes[scope as keyof typeof scopes]) {
        await admin.put(`${path}/users/${id}/roles/${roles.get(role)}`)
      }
    }
  }
}

/** Keystone's own API, as its first administrator. */
class Admin {
  readonly #url: string
  readonly #token: string

  private constructor(url: string, token: string) {
    this.#url = url
    this.#token = token
  }

  static async signIn({ url, password }: KeystoneAccess): Promise<Admin> {
    const user = { name: 'admin', domain: { id: 'default' }, password }
    const identity = { methods: ['password'], password: { user } }
    const body = JSON.stringify({ auth: { identity, scope: { system: { all: true } } } })
    const answer = await fetch(`${url}/auth/tokens`, { method: 'POST', body, headers: jsonHeaders })
    const token = answer.headers.get('x-subject-token')
    if (token === null) throw new Error(`Keystone signed its administrator not in: ${await answer.text()}`)
    await answer.body?.cancel()
    return new Admin(url, token)
  }

  async get(path: string): Promise<unknown> {
    return (await this.#ask('GET', path)).json()
  }

  /** @returns the ID of what was made */
  async create(path: string, body: Readonly<Record<string, unknown>>): Promise<string> {
    const made = (await (await this.#ask('POST', path, body)).json()) as Record<string, { id: string }> // as documented
    return made[Object.keys(body)[0] ?? '']?.id ?? ''
  }

  async put(path: string): Promise<void> {
    await (await this.#ask('PUT', path)).body?.cancel()
  }

  async #ask(method: string, path: string, body?: unknown): Promise<Response> {
    const headers = { ...jsonHeaders, 'x-auth-token': this.#token }
    const init = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await fetch(`${this.#url}/${path}`, { method, headers, ...init })
    if (!answer.ok) throw new Error(`Keystone refused ${method} ${path} with ${answer.status}: ${await answer.text()}`)
    return answer
  }
}

const jsonHeaders = { 'content-type': 'application/json' }

/** Returns when it answers. */
async function answers(child: ChildProcess, url: string, logFile: string): Promise<void> {
  const limit = performance.now() + startLimitMs
  for (;;) {
    const found = await fetch(url, { signal: AbortSignal.timeout(5000) }).catch(() => null)
    await found?.body?.cancel()
    if (found?.ok === true) return
    if (child.exitCode !== null || performance.now() > limit) {
      const words = (await readFile(logFile, 'utf8')).slice(-2000)
      throw new Error(`Keystone ${child.exitCode === null ? 'does not answer' : 'ended'}:\n${words}`)
    }
    await sleep(100)
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
