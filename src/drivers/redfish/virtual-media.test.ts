/** Booting by virtual media against the lab's Redfish service: ISO, slots in every style, and what is left behind. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { IsoNotBuilt } from '#boot/iso.ts'
import { FakeHardware } from '#lab/redfish/fake-hardware.ts'
import { type RedfishService, redfishService } from '#lab/redfish/service.ts'
import { InvalidInput } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { type DeployInterface, Unsupported } from '../driver.ts'
import { type TestContext, testContext } from '../test-context.ts'
import { type BmcPort, openPort, redfishError } from './fake-bmc.ts'
import httpsBoot from './https-boot.ts'
import management from './management.ts'
import { ejectMedia, insertMedia, MediaNotInserted } from './media-insert.ts'
import { readSlots } from './media-slots.ts'
import virtualMedia from './virtual-media.ts'

const account = { username: 'admin', password: 'secret' }
const MEDIA = '/redfish/v1/Managers/1/VirtualMedia/Cd'
const INSERT = `${MEDIA}/Actions/VirtualMedia.InsertMedia`

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrite-vmedia-'))
  for (const name of ['kernel', 'ramdisk', 'esp.img']) await writeFile(join(folder, name), name.padEnd(4096))
})
after(() => rm(folder, { recursive: true, force: true }))

interface World extends AsyncDisposable {
  hardware: FakeHardware
  ctx: TestContext
  port: BmcPort
  /** Requests that change something, with their bodies. */
  changes: [string, unknown][]
}

type Handle = (request: Request) => Promise<Response>

async function world(
  given: {
    facts?: ConstructorParameters<typeof FakeHardware>[0]
    node?: Parameters<typeof testContext>[0]['node']
    /** Stands before the service. */
    before?: (request: Request, body: Record<string, unknown>, next: Handle) => Promise<Response> | undefined
    deploy?: Partial<DeployInterface>
    config?: Record<string, Record<string, unknown>>
  } = {},
): Promise<World> {
  const hardware = new FakeHardware(given.facts)
  const changes: [string, unknown][] = []
  const service: RedfishService = redfishService({ hardware, account, now: Date.now })
  const port = await openPort(async request => {
    const { method, url } = request
    const path = new URL(url).pathname
    const text = method === 'GET' ? '' : await request.clone().text()
    const body = text === '' ? {} : JSON.parse(text)
    if (method !== 'GET' && !path.includes('Sessions')) changes.push([`${method} ${path}`, body])
    return (await given.before?.(request, body, service)) ?? service(request)
  })
  const httpRoot = await mkdtemp(join(folder, 'http-'))
  const { driver_info, ...node } = given.node ?? {}
  const ctx = await testContext({
    ports: [{ address: '52:54:00:00:00:01' }],
    node: {
      network_data: {},
      ...node,
      driver_info: {
        redfish_address: port.url,
        redfish_username: account.username,
        redfish_password: account.password,
        redfish_tls_fingerprint: port.fingerprint,
        deploy_kernel: `file://${folder}/kernel`,
        deploy_ramdisk: `file://${folder}/ramdisk`,
        bootloader: `file://${folder}/esp.img`,
        ...driver_info,
      },
    },
    config: {
      ...given.config,
      deploy: { http_root: httpRoot, http_url: 'http://192.0.2.1:8080', ...given.config?.deploy },
      conductor: { file_url_allowed_paths: [folder], ...given.config?.conductor },
      redfish: { connection_attempts: 1, ...given.config?.redfish },
      pxe: { tftp_master_path: join(folder, 'master') },
    },
    interfaces: { management, deploy: (given.deploy ?? {}) as DeployInterface }, // boot interfaces ask for no more
  })
  return {
    hardware,
    ctx,
    port,
    changes,
    async [Symbol.asyncDispose]() {
      await ctx[Symbol.asyncDispose]()
      await port[Symbol.asyncDispose]()
    },
  }
}

const deploying = {
  mode: 'deploy',
  parameters: { 'ipa-api-url': 'http://192.0.2.1:6385', 'ipa-agent-token': 'tk' },
} as const

/** The file that a URL of ours names. */
const fileOf = ({ ctx }: World, url: string) =>
  join(ctx.config.deploy.http_root, url.slice('http://192.0.2.1:8080/'.length))

async function commandLine(w: World, url: string): Promise<string> {
  const to = join(folder, 'grub.cfg')
  await rm(to, { force: true })
  await run('xorriso', ['-osirrox', 'on', '-indev', fileOf(w, url), '-extract', '/boot/grub/grub.cfg', to])
  return /^linux \/vmlinuz (.*)$/m.exec(await readFile(to, 'utf8'))?.[1] ?? ''
}

test('a ramdisk boots from an ISO in the CD slot, once, and nothing of it stays', async () => {
  await using w = await world()
  await virtualMedia.validate(w.ctx)
  await virtualMedia.prepareRamdisk(w.ctx, deploying)
  const image = w.hardware.media()?.image ?? ''
  assert.match(image, /^http:\/\/192\.0\.2\.1:8080\/[0-9a-f-]{36}\/vmedia\/[0-9a-f]{24}\/boot\.iso$/)
  assert.deepEqual(w.hardware.boot(), { enabled: 'Once', target: 'Cd' })
  const line = await commandLine(w, image)
  assert.match(
    line,
    /ipa-api-url=http:\/\/192\.0\.2\.1:6385 ipa-agent-token=tk boot_method=vmedia BOOTIF=52:54:00:00:00:01/,
  )
  assert.match(line, /ir_pub_id=[0-9a-f-]{36} nofb vga=normal$/)

  // Again, as after a crash: another image, and the former one is gone.
  await virtualMedia.prepareRamdisk(w.ctx, deploying)
  const next = w.hardware.media()?.image ?? ''
  assert.notEqual(next, image)
  await assert.rejects(readFile(fileOf(w, image)), /ENOENT/)

  await virtualMedia.cleanUpRamdisk(w.ctx)
  assert.equal(w.hardware.media(), null)
  assert.deepEqual(await readdir(join(w.ctx.config.deploy.http_root, w.ctx.node.uuid)), [])
})

test('what the BMC and the machine see may be other addresses than ours', async () => {
  await using w = await world({
    node: { driver_info: { external_http_url: 'https://198.51.100.1/boot/' } },
    config: {
      deploy: { external_callback_url: 'https://198.51.100.1/api' },
      ferrite: { api_url: 'http://192.0.2.1:6385' },
    },
  })
  await virtualMedia.prepareRamdisk(w.ctx, deploying)
  const image = w.hardware.media()?.image ?? ''
  assert.match(image, /^https:\/\/198\.51\.100\.1\/boot\/[0-9a-f-]{36}\/vmedia\//)
  const own = image.replace('https://198.51.100.1/boot', 'http://192.0.2.1:8080')
  assert.match(await commandLine(w, own), /ipa-api-url=https:\/\/198\.51\.100\.1\/api /)
})

test('static addresses travel on the ISO', async () => {
  const network = { links: [], networks: [], services: [] }
  await using w = await world({ node: { network_data: network } })
  await virtualMedia.prepareRamdisk(w.ctx, deploying)
  const to = join(folder, 'network_data.json')
  const iso = fileOf(w, w.hardware.media()?.image ?? '')
  await run('xorriso', ['-osirrox', 'on', '-indev', iso, '-extract', '/openstack/latest/network_data.json', to])
  assert.deepEqual(JSON.parse(await readFile(to, 'utf8')), network)
})

test('a ready ISO is published as it is, or left where it is; its token needs a floppy', async () => {
  await writeFile(join(folder, 'ready.iso'), 'ready')
  await using w = await world({ node: { driver_info: { deploy_iso: `file://${folder}/ready.iso` } } })
  assert.equal(virtualMedia.carriesToken?.(w.ctx, 'deploy'), false)
  assert.equal(virtualMedia.carriesToken?.(w.ctx, 'rescue'), true, 'which is built')
  await virtualMedia.prepareRamdisk(w.ctx, deploying)
  assert.equal(await readFile(fileOf(w, w.hardware.media()?.image ?? ''), 'utf8'), 'ready')

  await using direct = await world({
    node: { driver_info: { deploy_iso: 'http://203.0.113.9/a.iso', config_via_removable: 'yes' } },
    config: { deploy: { ramdisk_image_download_source: 'http' } },
  })
  assert.equal(virtualMedia.carriesToken?.(direct.ctx, 'deploy'), true)
  await assert.rejects(virtualMedia.prepareRamdisk(direct.ctx, deploying), (error: Error) => {
    assert.ok(error instanceof Unsupported)
    assert.match(error.message, /no virtual media for Floppy/)
    return true
  })
})

test('an instance of a ramdisk stays in its slot and is cleaned up; one on a disk boots from that', async () => {
  const boot = {
    kind: 'ramdisk',
    kernel: `file://${folder}/kernel`,
    ramdisk: `file://${folder}/ramdisk`,
    parameters: 'a=b',
  } as const
  await using w = await world({ deploy: { instanceBoot: () => boot } })
  await virtualMedia.prepareInstance(w.ctx)
  assert.deepEqual(w.hardware.boot(), { enabled: 'Continuous', target: 'Cd' })
  assert.match(await commandLine(w, w.hardware.media()?.image ?? ''), /^nofb vga=normal a=b$/)
  assert.equal(await virtualMedia.servesInstance?.(w.ctx), true)
  await virtualMedia.stopServing?.(w.ctx)
  assert.equal(await virtualMedia.servesInstance?.(w.ctx), false)

  await using disk = await world()
  await virtualMedia.prepareRamdisk(disk.ctx, deploying)
  await virtualMedia.prepareInstance(disk.ctx)
  assert.equal(disk.hardware.media(), null)
  assert.deepEqual(disk.hardware.boot(), { enabled: 'Continuous', target: 'Hdd' })
})

test('an instance whose images the BMC did not take, or that could not be made, is not served', async () => {
  const kernel = `file://${folder}/kernel`
  const boot = { kind: 'ramdisk', kernel, ramdisk: `file://${folder}/ramdisk`, parameters: '' } as const
  let refuses = true
  await using w = await world({
    node: { provision_state: 'active' },
    deploy: { instanceBoot: () => boot },
    before: request =>
      refuses && request.url.endsWith(INSERT)
        ? Promise.resolve(redfishError(400, 'GeneralError', 'Not now.'))
        : undefined,
  })
  const files = () => readdir(w.ctx.config.deploy.http_root, { recursive: true })
  await assert.rejects(virtualMedia.prepareInstance(w.ctx), MediaNotInserted)
  assert.equal(await virtualMedia.servesInstance?.(w.ctx), false)
  assert.ok(!(await files()).some(name => name.endsWith('.iso')))
  refuses = false
  await virtualMedia.prepareInstance(w.ctx)
  assert.equal(await virtualMedia.servesInstance?.(w.ctx), true)
  await virtualMedia.stopServing?.(w.ctx)

  const { PATH } = process.env
  process.env.PATH = folder // which has no xorriso
  try {
    for (const way of [virtualMedia, httpsBoot]) {
      await assert.rejects(way.prepareInstance(w.ctx), IsoNotBuilt)
      assert.equal(await way.servesInstance?.(w.ctx), false)
    }
  } finally {
    process.env.PATH = PATH
  }
})

test('an instance that asks for secure boot gets it before it starts, and it goes with the instance', async () => {
  const wanted: boolean[] = []
  await using w = await world({ node: { instance_info: { capabilities: { secure_boot: 'true' } } } })
  const switching = { ...management, setSecureBoot: async (_: unknown, enabled: boolean) => void wanted.push(enabled) }
  const ctx = { ...w.ctx, interfaces: { ...w.ctx.interfaces, management: switching } }
  await virtualMedia.validate(ctx)
  await virtualMedia.prepareInstance(ctx)
  await virtualMedia.cleanUpInstance(ctx)
  assert.deepEqual(wanted, [true, false])
})

test('a BMC that cannot be asked keeps its medium, and our files go all the same', async () => {
  await using w = await world()
  await virtualMedia.prepareRamdisk(w.ctx, deploying)
  await w.port[Symbol.asyncDispose]()
  await virtualMedia.cleanUpRamdisk(w.ctx)
  assert.deepEqual(await readdir(join(w.ctx.config.deploy.http_root, w.ctx.node.uuid)), [])
})

const url = 'http://203.0.113.9/a.iso'
const image = { url, protocol: null }

test('firmware that wants more to insert an image gets it, and no more than it wants', async () => {
  const demands = ['TransferProtocolType', 'TransferMethod', 'UserName']
  await using w = await world({
    before(request, body) {
      const path = new URL(request.url).pathname
      const [missing] = path === INSERT ? demands.filter(name => !(name in body)) : []
      if (missing === undefined) return undefined
      return Promise.resolve(
        redfishError(400, 'ActionParameterMissing', `The action requires the parameter ${missing}.`),
      )
    },
  })
  await insertMedia(w.ctx, 'cdrom', image)
  assert.equal(w.hardware.media()?.image, url)
  const asked = w.changes.filter(([name]) => name === `POST ${INSERT}`).map(([, body]) => body)
  assert.deepEqual(asked[0], { Image: url })
  const credentials = { UserName: 'none', Password: 'none' }
  assert.deepEqual(asked.at(-1), { Image: url, TransferProtocolType: 'HTTP', TransferMethod: 'Upload', ...credentials })
})

test('a slot without actions is changed by PATCH, with all that there is to say', async () => {
  let slot: Record<string, unknown> = { Id: 'Cd', MediaTypes: ['DVD'], Inserted: false, Image: null }
  await using w = await world({
    async before(request, body) {
      if (new URL(request.url).pathname !== MEDIA) return undefined as unknown as Response // passes on, as undefined does
      if (request.method === 'PATCH') slot = { ...slot, ...body }
      return Response.json(slot, { headers: { etag: '"1"' } })
    },
  })
  await insertMedia(w.ctx, 'cdrom', image)
  assert.deepEqual(w.changes, [[`PATCH ${MEDIA}`, { Image: url, Inserted: true, WriteProtected: true }]])
  await ejectMedia(w.ctx, ['cdrom'])
  assert.deepEqual(w.changes.at(-1), [`PATCH ${MEDIA}`, { Image: null, Inserted: false }])
})

test('an eject that is still under way is waited for; what stays empty is told with what was asked', async () => {
  let busy = 2
  await using w = await world({
    before: request => {
      if (!request.url.endsWith(INSERT) || busy-- <= 0) return undefined
      return Promise.resolve(redfishError(500, 'GeneralError', 'Media is being ejected.'))
    },
  })
  await insertMedia(w.ctx, 'cdrom', image)
  assert.equal(w.hardware.media()?.image, url)
  assert.deepEqual(w.ctx.pauses, [3000, 3000])

  await using deaf = await world({
    before: request =>
      request.url.endsWith(INSERT) ? Promise.resolve(new Response(null, { status: 204 })) : undefined,
  })
  await assert.rejects(insertMedia(deaf.ctx, 'cdrom', image), (error: Error) => {
    assert.ok(error instanceof MediaNotInserted)
    assert.match(
      error.message,
      /accepted http:\/\/203\.0\.113\.9\/a\.iso .* is empty 60 s later.*can the BMC reach that URL/,
    )
    return true
  })
  assert.equal((await readSlots(deaf.ctx)).length, 1)
})

test('a BMC that is stuck at an image which it cannot fetch is told from one that does not answer', async () => {
  const stuck = Promise.withResolvers<Response>()
  await using w = await world({
    config: { redfish: { read_timeout: 1 } },
    before: request => (request.url.endsWith(INSERT) ? stuck.promise : undefined),
  })
  await assert.rejects(insertMedia(w.ctx, 'cdrom', image), (error: Error) => {
    assert.ok(error instanceof MediaNotInserted)
    assert.match(error.message, /203\.0\.113\.9.*did not answer in time; it does answer else: can it reach that URL/)
    return true
  })
  stuck.resolve(new Response(null, { status: 204 }))
})

test('a full slot is emptied first, and one that is empty is left alone', async () => {
  await using w = await world()
  await insertMedia(w.ctx, 'cdrom', { url: 'http://203.0.113.9/old.iso', protocol: null })
  w.changes.length = 0
  await insertMedia(w.ctx, 'cdrom', image)
  assert.deepEqual(
    w.changes.map(([name]) => name),
    [`POST ${MEDIA}/Actions/VirtualMedia.EjectMedia`, `POST ${INSERT}`],
  )
  await ejectMedia(w.ctx, ['floppy'])
  assert.equal(w.hardware.media()?.image, url, 'no slot for floppies, nothing to take out')
  await ejectMedia(w.ctx, null)
  w.changes.length = 0
  await ejectMedia(w.ctx, null)
  assert.deepEqual(w.changes, [])
})

test('wrong settings are refused before anything is touched', async () => {
  await mkdir(join(folder, 'x'), { recursive: true })
  const refusals: [Record<string, unknown>, RegExp][] = [
    [
      { vmedia_transport_protocol: 'FTP' },
      /vmedia_transport_protocol is "FTP", expected one of HTTP, HTTPS, NFS, CIFS, PUSH/,
    ],
    [{ config_via_removable: 'perhaps' }, /config_via_removable .* expected true or false/],
    [{ deploy_iso: 5 }, /deploy_iso is a number, expected a URL/],
    [{ deploy_iso: `file://${folder}/missing.iso` }, /deploy_iso names .*not there/],
    [{ deploy_iso: 'file:///etc/passwd' }, /outside of \[conductor\] file_url_allowed_paths/],
    [{ bootloader: `file://${folder}/missing.img` }, /bootloader names .*not there/],
    [{ deploy_kernel: 'ftp://203.0.113.9/kernel' }, /expected an http, https or file URL/],
  ]
  for (const [driver_info, message] of refusals) {
    await using w = await world({ node: { driver_info } })
    await assert.rejects(virtualMedia.validate(w.ctx), (error: Error) => {
      assert.ok(error instanceof InvalidInput, error.message)
      assert.match(error.message, message)
      return true
    })
    assert.deepEqual(w.changes, [])
  }
})

test('an old iDRAC is not asked for what it cannot do', async () => {
  await using w = await world({ facts: { manufacturer: 'Dell Inc.' } })
  await assert.rejects(virtualMedia.prepareRamdisk(w.ctx, deploying), /iDRAC firmware before 6/)
  assert.deepEqual(w.changes, [])
})

test('redfish-https hands the ISO to the firmware, for one boot', async () => {
  await using w = await world({
    facts: { bootTargets: ['None', 'Pxe', 'Hdd', 'Cd', 'UefiHttp'] },
    before: (request, body) => {
      const { HttpBootUri, ...rest } = (body.Boot ?? {}) as Record<string, unknown>
      if (request.method !== 'PATCH' || HttpBootUri === undefined) return undefined
      assert.deepEqual(rest, { BootSourceOverrideTarget: 'UefiHttp', BootSourceOverrideEnabled: 'Once' })
      assert.match(String(HttpBootUri), /^http:\/\/192\.0\.2\.1:8080\/.*\/boot\.iso$/)
      return Promise.resolve(new Response(null, { status: 204 }))
    },
  })
  await httpsBoot.validate(w.ctx)
  await httpsBoot.prepareRamdisk(w.ctx, deploying)
  assert.equal(w.changes.length, 1)
  assert.equal(w.hardware.media(), null)
  await httpsBoot.cleanUpRamdisk(w.ctx)
  assert.equal(await httpsBoot.servesInstance?.(w.ctx), false)

  await using bios = await world({ node: { properties: { capabilities: 'boot_mode:bios' } } })
  await assert.rejects(httpsBoot.validate(bios.ctx), /only UEFI firmware fetches an ISO/)
  await using other = await world()
  await assert.rejects(httpsBoot.prepareRamdisk(other.ctx, deploying), /expected UefiHttp/)
})
