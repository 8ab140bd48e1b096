/** Dockerfile and compose file: what they name is there, in the tree or in the Debian package that the image holds. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { openConfig } from '../src/config/load.ts'
import { readConnection } from '../src/db/connection.ts'

const root = join(import.meta.dirname, '..')
const read = (name: string) => readFile(join(root, 'packaging', name), 'utf8')
const dockerfile = (await read('Dockerfile')).replaceAll(/\\\n\s*/g, ' ')
const deb = await read('deb.ts')

/** The words of an instruction, of all its lines. */
const words = (instruction: string) =>
  [...dockerfile.matchAll(new RegExp(`^${instruction} (.*)$`, 'gm'))].flatMap(([, rest = '']) => rest.split(/\s+/))
/** The list in JSON after this word. */
const listAfter = (word: string): string[] => {
  const [, list = '[]'] = new RegExp(`^${word} (\\[.*\\])$`, 'm').exec(dockerfile) ?? []
  return JSON.parse(list)
}

/** What the Debian package puts at a path: the file of the tree that it is made of. */
function packaged(path: string): string | undefined {
  const [, home] = /^\/usr\/lib\/ferrite\/(.*)/.exec(path) ?? []
  if (home !== undefined) return join(root, home)
  const [, from] = new RegExp(`place\\(folder, '([^']+)', '${path.slice(1)}'`).exec(deb) ?? []
  return from === undefined ? undefined : join(root, 'packaging', from)
}

interface Compose {
  readonly services: Readonly<Record<'database' | 'ferrite', Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}
interface Service {
  readonly image: string
  readonly environment: Readonly<Record<string, string>>
  readonly volumes: readonly string[]
  readonly depends_on?: Readonly<Record<string, unknown>>
}

test('programs and files of the image are in the package', async () => {
  const [program = '', ...args] = listAfter('CMD')
  const paths = [program, ...args, listAfter('HEALTHCHECK.*? CMD')[0] ?? ''].filter(word => word.startsWith('/'))
  assert.deepEqual(paths, [
    '/usr/bin/ferrite',
    '/etc/ferrite/ferrite.conf',
    '/usr/lib/ferrite/node_modules/node/bin/node',
  ])
  for (const path of paths) {
    const from = packaged(path)
    assert.ok(from, `${path} is in the package`)
    await access(from)
  }
  const [pattern = '', target] = words('COPY')
  assert.equal(target, '/tmp/')
  const made = /join\(output, `(ferrite_[^`]+)`\)/.exec(deb)?.[1]?.replaceAll(/\$\{[^}]+\}/g, '1.2.3')
  assert.match(made ?? '', new RegExp(`^${pattern.replaceAll('*', '[^_]+').replace('.deb', '\\.deb')}$`))
  assert.match(await read('postinst'), new RegExp(`adduser --system .* ${words('USER')[0]} `))
})

test('Debian packages of the image are those that the package knows', () => {
  const [, list = ''] = /--no-install-recommends \S+\.deb (.*?) && setcap/.exec(dockerfile) ?? []
  const known = [...deb.matchAll(/^ {4}(?:Depends|Recommends|Suggests): '(.*)',$/gm)].flatMap(([, all = '']) =>
    all.split(', '),
  )
  const named = list.split(/\s+/).filter(Boolean)
  // It gives dnsmasq its capabilities, and has nothing to do with the package.
  assert.deepEqual(
    named.filter(name => !known.includes(name)),
    ['libcap2-bin'],
  )
  for (const name of ['qemu-utils', 'dnsmasq-base', 'postgresql-client']) assert.ok(named.includes(name), name)
})

test('ports and folders are those of the configuration, in the image and in the compose file', async () => {
  const file = join(root, 'packaging/ferrite.conf')
  const { services, volumes } = parse(await read('compose.yaml')) as Compose // of this repository
  const { database, ferrite } = services
  const env = Object.entries(ferrite.environment).map(([name, value]) => [
    name,
    value.replaceAll(/\$\{FERRITE_DATABASE_PASSWORD.*?\}/g, 'secret-word'),
  ])
  const { config, warnings } = await openConfig({ files: [file], env: Object.fromEntries(env) })
  assert.deepEqual(warnings, [])
  assert.deepEqual(words('EXPOSE'), [String(config.api.port), String(config.ferrite.http_port)])
  assert.deepEqual(words('VOLUME'), [config.DEFAULT.state_path])
  const connection = readConnection(config.database.connection)
  assert.ok(connection.engine === 'postgresql')
  assert.deepEqual(
    [connection.user, connection.database, connection.password, connection.port],
    [database.environment.POSTGRES_USER, database.environment.POSTGRES_DB, 'secret-word', 5432],
  )
  for (const mount of [...database.volumes, ...ferrite.volumes]) {
    const [source = '', target = ''] = mount.split(':')
    if (!source.startsWith('.')) assert.ok(source in volumes, `volume ${source}`)
    else assert.equal(join(root, 'packaging', source), packaged(target))
  }
  assert.ok(ferrite.volumes.includes(`state:${config.DEFAULT.state_path}`))
  assert.deepEqual(Object.keys(ferrite.depends_on ?? {}), ['database'])
  // The image opens its API by this line.
  const [, expression = ''] = /sed -i 's\/(.*?)\//.exec(dockerfile) ?? []
  assert.match(await readFile(file, 'utf8'), new RegExp(expression, 'm'))
})

test('the health check sees whether the API answers', async () => {
  const [, ...args] = listAfter('HEALTHCHECK.*? CMD')
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/v1' ? 200 : 404
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens
  const checked = async () => {
    const child = spawn(
      process.execPath,
      args.map(arg => arg.replace(':6385', `:${port}`)),
    )
    const [code] = await once(child, 'exit')
    return code
  }
  assert.equal(await checked(), 0)
  server.close()
  assert.equal(await checked(), 1)
})
