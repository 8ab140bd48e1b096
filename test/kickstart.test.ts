/**
 * Installations by kickstart, whole: the real API and conductor, its boot files over HTTP, and a stand-in that does on
 * the wire what Anaconda does, with curl run by a shell as the kickstart has it.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { eventually } from '#conductor/test-engine.ts'
import { type FakeObjectStore, startFakeObjectStore } from '#images/fake-object-store.ts'
import { type FileServer, startFileServer } from '#images/file-server.ts'
import { silent } from '#lib/log.ts'
import { install } from '../interop/deploy/installer.ts'
import { type InProcess, startInProcess } from './in-process.ts'

const image = Buffer.alloc(300_000, 'a system')
const sha256 = createHash('sha256').update(image).digest('hex')

/** Images of Glance: a system, and what its owner names beside it. */
const ids = {
  system: '2d3b6c1e-3d5c-4d0e-9a55-000000000001',
  kernel: '2d3b6c1e-3d5c-4d0e-9a55-000000000002',
  ramdisk: '2d3b6c1e-3d5c-4d0e-9a55-000000000003',
  stage2: '2d3b6c1e-3d5c-4d0e-9a55-000000000004',
  template: '2d3b6c1e-3d5c-4d0e-9a55-000000000005',
  bare: '2d3b6c1e-3d5c-4d0e-9a55-000000000006',
  thief: '2d3b6c1e-3d5c-4d0e-9a55-000000000007',
}
const inGlance = (content: Buffer, properties: object = {}) => ({
  content,
  about: {
    size: content.length,
    os_hash_algo: 'sha256',
    os_hash_value: createHash('sha256').update(content).digest('hex'),
    visibility: 'public',
    disk_format: 'raw',
    ...properties,
  },
})
const named = { kernel_id: ids.kernel, ramdisk_id: ids.ramdisk, stage2_id: `glance://${ids.stage2}` }

let folder: string
let glance: FakeObjectStore
let files: FileServer
let state: InProcess
/** What boots from elsewhere: installer, repository, image; and the API, whose port is known only when it listens. */
let world: Awaited<ReturnType<typeof startWorld>>

async function startWorld() {
  const asked: string[] = []
  const server = createServer((incoming, response) => {
    const path = incoming.url ?? ''
    if (path.startsWith('/v1/')) return forward(incoming, response, state.url)
    asked.push(`${incoming.method} ${path}`)
    const isDirectory = path.endsWith('/')
    const known = isDirectory || /\/(kernel|ramdisk|stage2|system\.img|\.treeinfo|repomd\.xml)$/.test(path)
    const body = path.endsWith('/system.img') ? image : Buffer.from(`content of ${path}`)
    response.writeHead(known ? 200 : 404, { 'content-type': isDirectory ? 'text/html' : 'application/octet-stream' })
    response.end(incoming.method === 'HEAD' || !known ? undefined : body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on TCP
  return { url: `http://127.0.0.1:${port}`, asked, server }
}

function forward(incoming: IncomingMessage, response: ServerResponse, to: string): void {
  const { method, headers, url } = incoming
  const outgoing = request(`${to}${url}`, { method, headers }, answer => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  incoming.pipe(outgoing)
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrite-kickstart-'))
  const root = join(folder, 'http')
  await mkdir(root)
  files = await startFileServer({ root, host: '127.0.0.1', port: 0, log: silent })
  world = await startWorld()
  const own = await readFile(new URL('../src/drivers/anaconda/ks.cfg.template', import.meta.url), 'utf8')
  glance = await startFakeObjectStore({
    key: '',
    digest: 'sha256',
    images: {
      [ids.system]: inGlance(image, { ...named, ks_template: ids.template, disk_file_extension: '.tgz' }),
      [ids.kernel]: inGlance(Buffer.from('kernel of Glance')),
      [ids.ramdisk]: inGlance(Buffer.from('ramdisk of Glance')),
      [ids.stage2]: inGlance(Buffer.from('second stage of Glance')),
      [ids.template]: inGlance(Buffer.from(`# of the image\n${own}`)),
      [ids.bare]: inGlance(image, { kernel_id: ids.kernel }),
      [ids.thief]: inGlance(image, { ...named, ks_template: 'file:///etc/passwd' }),
    },
  })
  const only = (name: string) => ({
    [`enabled_${name}_interfaces`]: [name === 'deploy' ? 'anaconda' : name === 'boot' ? 'ipxe' : 'fake'],
  })
  const types = ['boot', 'console', 'deploy', 'inspect', 'management', 'power', 'rescue']
  state = await startInProcess({
    DEFAULT: {
      state_path: folder,
      enabled_hardware_types: ['fake-hardware'],
      ...Object.assign({}, ...types.map(only)),
      enabled_network_interfaces: ['noop'],
    },
    conductor: { automated_clean: false, file_url_allowed_paths: [folder] },
    deploy: { http_root: root, http_url: `http://127.0.0.1:${files.port}` },
    agent: { post_deploy_get_power_state_retry_interval: 0 },
    ferrite: { api_url: world.url },
    glance: { endpoint_override: glance.url },
  })
})
after(async () => {
  await state.close()
  await glance[Symbol.asyncDispose]()
  await files.close(0)
  world.server.closeAllConnections()
  world.server.close()
  await rm(folder, { recursive: true })
})

interface Node {
  uuid: string
  provision_state: string
  last_error: string | null
  power_state: string
}

async function call(method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`${state.url}/v1/${path}`, {
    method,
    headers: { 'content-type': 'application/json', 'x-openstack-ironic-api-version': '1.95' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.status} ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

let uuid: string
let mac: string
let count = 0
const node = () => call('GET', `nodes/${uuid}`) as Promise<Node>
const provision = (target: string, more: object = {}) =>
  call('PUT', `nodes/${uuid}/states/provision`, { target, ...more })
const reached = (wanted: string) =>
  eventually(wanted, async () => {
    const { provision_state, last_error } = await node()
    if (provision_state.endsWith('failed') && wanted !== provision_state) assert.fail(String(last_error))
    return provision_state === wanted
  })

beforeEach(async () => {
  count += 1
  mac = `52:54:00:00:00:0${count.toString(16)}`
  const { uuid: made } = (await call('POST', 'nodes', { driver: 'fake-hardware' })) as Node
  uuid = made
  await call('POST', 'ports', { node_uuid: uuid, address: mac })
  await provision('manage')
  await reached('manageable')
  await provision('provide')
  await reached('available')
})

const installer = () => ({
  kernel: `${world.url}/i/kernel`,
  ramdisk: `${world.url}/i/ramdisk`,
  stage2: `${world.url}/i/stage2`,
})

async function describe(instance_info: object): Promise<void> {
  await call('PATCH', `nodes/${uuid}`, [{ op: 'add', path: '/instance_info', value: instance_info }])
}

/** What the machine boots, found as its firmware finds it. */
async function commandLine(): Promise<string> {
  const path = `${files.host}:${files.port}/pxelinux.cfg/${mac.replaceAll(':', '-')}`
  const script = await (await fetch(`http://${path}`)).text()
  const [, line = ''] = /^kernel (?:--timeout \d+ )?(.*?) \|\|/m.exec(script) ?? []
  return line
}

async function booted(failure?: 'error' | 'crash') {
  const target = join(folder, `${uuid}.disk`)
  const systemRoot = join(folder, `${uuid}.root`)
  const said: string[] = []
  const options = { commandLine: await commandLine(), target, systemRoot, log: (line: string) => said.push(line) }
  const end = await install({ ...options, ...(failure ? { failure } : {}) }).catch(error => String(error))
  return { end, said, target, systemRoot }
}

test('the image of a system is installed, with the files of its config drive', async () => {
  const file = join(folder, 'system.img')
  await writeFile(file, image)
  await describe({ ...installer(), image_source: `file://${file}` })
  await provision('active', {
    configdrive: { meta_data: { hostname: "it's-one" }, user_data: '#cloud-config\n%end\n' },
  })
  await reached('wait call-back')
  const { end, target, systemRoot, said } = await booted()
  assert.equal(end, 'poweroff', said.join('\n'))
  assert.deepEqual(await readFile(target), image)
  const seed = join(systemRoot, 'var/lib/cloud/seed/config_drive/openstack/latest')
  assert.equal(JSON.parse(await readFile(join(seed, 'meta_data.json'), 'utf8')).hostname, "it's-one")
  assert.equal(await readFile(join(seed, 'user_data'), 'utf8'), '#cloud-config\n%end\n')
  await reached('active')
  const { last_error, power_state } = await node()
  assert.deepEqual([last_error, power_state], [null, 'power on'])
  assert.equal(
    (await fetch(`http://127.0.0.1:${files.port}/${uuid}/ks.cfg`)).status,
    404,
    'the token is not left about',
  )
})

test('a repository needs no second stage, and an image by URL is checked by the installer', async () => {
  const { stage2, ...files } = installer()
  await describe({ ...files, image_source: `${world.url}/repo/` })
  await provision('active')
  await reached('wait call-back')
  assert.match(await commandLine(), new RegExp(` text inst\\.ks=\\S+/${uuid}/ks\\.cfg inst\\.repo=${world.url}/repo/ `))
  assert.equal((await booted()).end, 'poweroff')
  await reached('active')
  assert.ok(world.asked.includes('GET /repo/repodata/repomd.xml'))

  await describe({ ...installer(), image_source: `${world.url}/i/system.img`, image_checksum: '0'.repeat(64) })
  await provision('rebuild')
  await reached('wait call-back')
  const { end } = await booted()
  assert.match(end, new RegExp(`the checksum of .* is ${sha256}`))
  await eventually('fails', async () => (await node()).provision_state === 'deploy failed')
  assert.match((await node()).last_error ?? '', /The installer failed: The installer stopped at an error/)
})

test('an image of Glance may name installer and template, and how its name ends; instance_info goes before it', async () => {
  const served = async (name: string) => (await fetch(`http://127.0.0.1:${files.port}/${uuid}/${name}`)).text()
  await describe({ image_source: ids.system })
  await provision('active')
  await reached('wait call-back')
  assert.deepEqual(await Promise.all(['kernel', 'ramdisk', 'LiveOS/squashfs.img'].map(served)), [
    'kernel of Glance',
    'ramdisk of Glance',
    'second stage of Glance',
  ])
  assert.match(
    await served('ks.cfg'),
    new RegExp(`^# of the image\n[^]*liveimg --url=\\S+/${uuid}/liveimg\\.tgz --checksum`),
  )
  const { end, target, said } = await booted()
  assert.equal(end, 'poweroff', said.join('\n'))
  assert.deepEqual(await readFile(target), image)
  await reached('active')

  const template = join(folder, 'own.template')
  await writeFile(
    template,
    '# of the node {{ ks_options.liveimg_url }} {{ ks_options.agent_token }} {{ ks_options.heartbeat_url }}',
  )
  // Half a pair would not fit the other half: both are those of the image.
  const { kernel, stage2 } = installer()
  await describe({ image_source: `glance://${ids.system}`, kernel, stage2, ks_template: `file://${template}` })
  await provision('rebuild')
  await reached('wait call-back')
  assert.deepEqual(await Promise.all(['kernel', 'LiveOS/squashfs.img'].map(served)), [
    'kernel of Glance',
    'content of /i/stage2',
  ])
  assert.match(await served('ks.cfg'), /^# of the node http/)
})

for (const [failure, expected] of [
  ['error', /The installer failed: The installer stopped at an error/],
  ['crash', /The installer failed: The installer stopped at an error/],
] as const) {
  test(`an installer's ${failure} ends the deployment in its own words, and another try may succeed`, async () => {
    await describe({ ...installer(), image_source: `${world.url}/i/system.img` })
    await provision('active')
    await reached('wait call-back')
    await booted(failure)
    await eventually('fails', async () => (await node()).provision_state === 'deploy failed')
    assert.match((await node()).last_error ?? '', expected)
    await provision('active')
    await reached('wait call-back')
    assert.equal((await booted()).end, 'poweroff')
    await reached('active')
  })
}

test('what cannot be installed is refused before the machine is touched', async () => {
  const template = join(folder, 'ks')
  const source = `${world.url}/i/system.img`
  const refused: [info: object, text: string | null, expected: RegExp][] = [
    [{ ...installer(), stage2: '', image_source: source }, null, /instance_info has no stage2; expected/],
    [{ image_source: source }, null, /no kernel, no ramdisk, no stage2/],
    [{ ...installer(), image_source: `${world.url}/gone` }, null, /gone answers 404/],
    [{ ...installer() }, null, /image_source is not set/],
    [
      { ...installer(), image_source: source },
      'liveimg\n{{ ks_options.live_url }}',
      /line 2: there is no variable ks_options\.live_url/,
    ],
    [{ ...installer(), image_source: source }, '{% if x', /is never closed/],
    [{ ...installer(), image_source: source }, 'text', /no ks_options\.liveimg_url, ks_options\.agent_token/],
    [{ ...installer(), image_source: source, kernel: 'file:///etc/passwd' }, null, /file_url_allowed_paths/],
    [{ ...installer(), image_source: `file://${folder}/none` }, null, /none: there is no such file on this host/],
    [
      { image_source: ids.bare },
      null,
      /no kernel, no ramdisk, no stage2, and glance:\S+ no property ramdisk_id, stage2_id; expected/,
    ],
    // Who may make images must not read files of this host.
    [{ image_source: ids.thief }, null, /property ks_template of glance:\S+ names file:.*passwd, outside of/],
    [{ image_source: ids.system.replace('2d', '2e') }, null, /Glance answers 404; expected an image/],
  ]
  for (const [info, text, expected] of refused) {
    if (text !== null) await writeFile(template, text)
    await describe({ ...info, ...(text === null ? {} : { ks_template: `file://${template}` }) })
    await assert.rejects(provision('active'), expected)
  }
  assert.equal((await node()).provision_state, 'available')
})
