/** The ways of an image to a BMC: shares that it is told of, and images that are sent to it, which QEMU's tools then read. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { FakeHardware } from '#lab/redfish/fake-hardware.ts'
import type { Media } from '#lab/redfish/hardware.ts'
import { RedfishServer } from '#lab/redfish/server.ts'
import { type RedfishService, redfishService } from '#lab/redfish/service.ts'
import { StreamedMedia } from '#lab/streamed-media.ts'
import { InvalidInput } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { selfSigned } from '#lib/x509.ts'
import { type DeployInterface, HardwareFault } from '../driver.ts'
import { type TestContext, testContext } from '../test-context.ts'
import management from './management.ts'
import { virtualMedia as byHand } from './media-by-hand.ts'
import { ejectMedia, insertMedia, MediaNotInserted } from './media-insert.ts'
import { isPushing, pushMedia } from './media-push.ts'
import { holds, readSlots } from './media-slots.ts'
import { NbdBroken, serveNbd } from './nbd-server.ts'
import { readSystem } from './system.ts'
import virtualMedia from './virtual-media.ts'

const account = { username: 'admin', password: 'of the BMC' }
const deploying = { mode: 'deploy', parameters: { 'ipa-api-url': 'http://192.0.2.1:6385' } } as const

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrite-transport-'))
  await mkdir(join(folder, 'share'))
  await writeFile(join(folder, 'ready.iso'), randomBytes(700_001))
})
after(() => rm(folder, { recursive: true, force: true }))

/** A BMC whose machine reads what is sent to it with a program that is not ours. */
class ReadingHardware extends FakeHardware {
  streamed: StreamedMedia | null = null

  override media(): Media | null {
    return this.streamed ? { image: null } : super.media()
  }

  async streamMedia(stream: Duplex): Promise<void> {
    const streamed = await StreamedMedia.open(stream)
    this.streamed = streamed
    void streamed.ended.then(() => {
      if (this.streamed === streamed) this.streamed = null
      return streamed.close()
    })
  }

  override async ejectMedia(): Promise<void> {
    const { streamed } = this
    this.streamed = null
    await streamed?.close()
    await super.ejectMedia()
  }

  /** The whole image, as a machine would read it. */
  async read(): Promise<Buffer> {
    const file = join(folder, 'read')
    const source = `nbd+unix:///?socket=${this.streamed?.socket}`
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', source, file])
    return await readFile(file)
  }
}

interface World extends AsyncDisposable {
  hardware: ReadingHardware
  ctx: TestContext
  /** Bodies of what was inserted. */
  inserted: Record<string, unknown>[]
}

async function world(given: {
  driver_info?: Record<string, unknown>
  instance_info?: Record<string, unknown>
  config?: Record<string, Record<string, unknown>>
  deploy?: Partial<DeployInterface>
  hardware?: ReadingHardware
}): Promise<World> {
  const hardware = given.hardware ?? new ReadingHardware()
  const inserted: World['inserted'] = []
  const service = redfishService({ hardware, account, now: Date.now })
  const listening = async (request: Request) => {
    if (request.url.endsWith('.InsertMedia')) inserted.push(JSON.parse(await request.clone().text()))
    return service(request)
  }
  const { certPem, keyPem } = selfSigned({
    commonName: 'bmc',
    ipAddresses: ['127.0.0.1'],
    notBefore: new Date(Date.now() - 1000),
    notAfter: new Date(Date.now() + 3600_000),
    curve: 'p256',
  })
  const server = new RedfishServer({
    service: Object.assign(listening, { connect: service.connect }) satisfies RedfishService,
    certPem,
    keyPem,
    address: '127.0.0.1',
    port: 0,
    accessLog: null,
  })
  await server.open()
  const ca = join(folder, `ca-${server.port}.pem`)
  await writeFile(ca, certPem)
  const made = await testContext({
    ports: [{ address: '52:54:00:00:00:01' }],
    node: {
      network_data: {},
      instance_info: given.instance_info ?? {},
      driver_info: {
        redfish_address: `https://127.0.0.1:${server.port}`,
        redfish_username: account.username,
        redfish_password: account.password,
        redfish_verify_ca: ca,
        deploy_iso: `file://${folder}/ready.iso`,
        ...given.driver_info,
      },
    },
    config: {
      ...given.config,
      DEFAULT: { state_path: join(folder, 'state') },
      deploy: { http_root: join(folder, 'http'), http_url: 'http://192.0.2.1:8080', ...given.config?.deploy },
      conductor: { file_url_allowed_paths: [folder] },
      redfish: { connection_attempts: 1 },
      pxe: { tftp_master_path: join(folder, 'master') },
    },
    interfaces: { management, deploy: (given.deploy ?? {}) as DeployInterface }, // boot interfaces ask for no more
  })
  // What QEMU does takes real time, of which little is waited at once.
  const clock = { now: Date.now, sleep: (ms: number) => sleep(Math.min(ms, 20)) }
  const ctx: TestContext = Object.assign(made, { clock })
  return {
    hardware,
    ctx,
    inserted,
    async [Symbol.asyncDispose]() {
      await ctx[Symbol.asyncDispose]()
      await hardware.streamed?.close()
      await server.end()
    },
  }
}

const share = () => join(folder, 'share')
const nfs = () => ({ nfs: { base_url: 'nfs://198.51.100.7/exports/media', share_path: share() } })
const cifs = () => ({
  cifs: { base_url: 'cifs://198.51.100.7/media/', share_path: share(), username: 'bmcs', password: 'of the share' },
})

test('an image is put on an NFS export, where the BMC is told to find it, and taken away', async () => {
  await using w = await world({ driver_info: { vmedia_transport_protocol: 'nfs' }, config: nfs() })
  await virtualMedia.validate(w.ctx)
  await virtualMedia.prepareRamdisk(w.ctx, deploying)
  const [{ Image, ...rest } = {}] = w.inserted
  assert.deepEqual(rest, { TransferProtocolType: 'NFS' })
  const path = /^nfs:\/\/198\.51\.100\.7\/exports\/media\/([0-9a-f-]{36}\/vmedia\/[0-9a-f]{24}\/boot\.iso)$/.exec(
    `${Image}`,
  )
  assert.ok(path?.[1], `${Image}`)
  assert.deepEqual(await readFile(join(share(), path[1])), await readFile(join(folder, 'ready.iso')))
  assert.equal(w.hardware.mediaLogin, null)
  assert.equal(await virtualMedia.servesInstance?.(w.ctx), true)
  await virtualMedia.cleanUpRamdisk(w.ctx)
  assert.deepEqual(await readdir(share()), [])
})

test('on a CIFS share the BMC logs in, and nobody is shown with what', async () => {
  const told = new ReadingHardware()
  told.insertMedia = async (_image, login) => {
    throw new InvalidInput(`logon failure of ${login?.username} with ${login?.password}`)
  }
  for (const hardware of [new ReadingHardware(), told]) {
    await using w = await world({
      driver_info: { vmedia_transport_protocol: 'CIFS', vmedia_transfer_method: 'Upload' },
      config: cifs(),
      hardware,
    })
    const prepared = virtualMedia.prepareRamdisk(w.ctx, deploying)
    if (hardware === told) {
      await assert.rejects(prepared, (error: Error) => {
        assert.match(error.message, /cifs:\/\/198\.51\.100\.7\/media\/.*logon failure of bmcs with \*{6}/)
        return true
      })
      continue
    }
    await prepared
    const [{ Image, ...rest } = {}] = w.inserted
    const login = { UserName: 'bmcs', Password: 'of the share' }
    assert.deepEqual(rest, { TransferProtocolType: 'CIFS', TransferMethod: 'Upload', ...login })
    assert.match(`${Image}`, /^cifs:\/\/198\.51\.100\.7\/media\/[0-9a-f-]{36}\/vmedia\//)
  }
})

test('an ISO on a share is passed on as it is, and our user is told to no other server', async () => {
  const iso = 'smb://203.0.113.9/isos/live.iso'
  const deploy: Partial<DeployInterface> = { instanceBoot: () => ({ kind: 'iso', iso }) }
  await using w = await world({
    driver_info: { vmedia_transport_protocol: 'CIFS', deploy_iso: iso },
    config: cifs(),
    deploy,
  })
  await virtualMedia.validate(w.ctx)
  assert.equal(virtualMedia.passesOn?.(w.ctx, iso), true)
  assert.equal(virtualMedia.passesOn?.(w.ctx, 'http://203.0.113.9/live.iso'), false)
  await virtualMedia.prepareInstance(w.ctx)
  assert.deepEqual(w.inserted, [{ Image: iso, TransferProtocolType: 'CIFS' }])

  w.inserted.length = 0
  await byHand.attach(w.ctx, 'cdrom', { url: 'nfs://203.0.113.9/isos/live.iso' })
  await byHand.attach(w.ctx, 'cdrom', { url: 'http://some%40body:pa%3Ass@203.0.113.9/live.iso' })
  assert.deepEqual(w.inserted, [
    { Image: 'nfs://203.0.113.9/isos/live.iso', TransferProtocolType: 'NFS' },
    { Image: 'http://203.0.113.9/live.iso', UserName: 'some@body', Password: 'pa:ss' },
  ])
})

test('an image attached by hand goes through this host, unless the BMC is to fetch it', async () => {
  const site = createServer((_, response) => response.end('an image from the web')).listen(0, '127.0.0.1')
  await once(site, 'listening')
  const url = `http://127.0.0.1:${(site.address() as AddressInfo).port}/live.iso` // it listens on TCP
  try {
    await using w = await world({ driver_info: { vmedia_transport_protocol: 'NFS' }, config: nfs() })
    await virtualMedia.stopServing?.(w.ctx)
    await byHand.attach(w.ctx, 'cdrom', { url })
    const { Image } = w.inserted.at(-1) ?? {}
    const path = /^nfs:\/\/198\.51\.100\.7\/exports\/media\/([0-9a-f-]{36}\/attached\/[0-9a-f]{24}\/cdrom\.iso)$/.exec(
      `${Image}`,
    )
    assert.equal(await readFile(join(share(), path?.[1] ?? ''), 'utf8'), 'an image from the web')
    assert.equal(await virtualMedia.servesInstance?.(w.ctx), false, 'it is none of an instance')
    await byHand.attach(w.ctx, 'cdrom', { url, local: false })
    assert.deepEqual(w.inserted.at(-1), { Image: url })
    await byHand.detach(w.ctx, ['floppy'])
    assert.equal((await readdir(share())).length, 1)
    await byHand.detach(w.ctx, ['cdrom'])
    assert.equal(w.hardware.media(), null)
    assert.deepEqual(await readdir(share()), [])

    await using pushed = await world({ driver_info: { vmedia_transport_protocol: 'PUSH' } })
    await byHand.attach(pushed.ctx, 'cdrom', { url })
    assert.match(String(await pushed.hardware.read()), /^an image from the web\0+$/)
    await byHand.detach(pushed.ctx, null)

    for (const [image, message] of [
      [{ url: 'nfs://h/e/a.iso', local: true }, /local for an image on a share, which only the BMC reads/],
      [{ url: url.replace('//', '//u:hidden@'), local: true }, /found a user in image_url .* expected http/],
      [{ url: url.replace(/\d+\/live/, '9/none'), local: true }, /image_url names .*could not be fetched/],
    ] as const) {
      await assert.rejects(byHand.attach(w.ctx, 'cdrom', image), (error: Error) => {
        assert.match(error.message, message)
        assert.doesNotMatch(error.message, /hidden/)
        return true
      })
    }
  } finally {
    site.closeAllConnections()
    site.close()
  }
})

test('what a BMC says that it cannot do it is not asked for', async () => {
  await using w = await world({})
  for (const [image, message] of [
    [{ protocol: 'SCP' }, /takes no image by TransferProtocolType SCP; it takes HTTP, HTTPS, NFS, CIFS/],
    [{ protocol: null, method: 'Stream' }, /TransferMethod Stream; it takes Upload: expected vmedia_transfer_method/],
  ] as const) {
    await assert.rejects(insertMedia(w.ctx, 'cdrom', { url: 'http://203.0.113.9/a.iso', ...image }), message)
  }
  assert.deepEqual(w.inserted, [])
})

test('settings of shares that make no sense are refused before anything is touched', async () => {
  const closed = join(folder, 'ready.iso')
  const cases: [string, Record<string, Record<string, unknown>>, RegExp][] = [
    ['NFS', {}, /is NFS and \[nfs\] has no base_url and no share_path/],
    ['CIFS', { cifs: { base_url: 'cifs://h/s' } }, /is CIFS and \[cifs\] has no share_path/],
    [
      'NFS',
      { nfs: { base_url: 'http://h/e', share_path: share() } },
      /no address of a share; expected nfs:\/\/HOST\/EXPORT/,
    ],
    ['CIFS', { cifs: { base_url: 'cifs://u:hidden@h/s', share_path: share() } }, /expected cifs.*, without a user$/],
    ['NFS', { nfs: { base_url: 'nfs://h/e', share_path: join(folder, 'none') } }, /cannot be read \(ENOENT\)/],
    [
      'NFS',
      { nfs: { base_url: 'nfs://h/e', share_path: closed } },
      /which is no directory; expected the directory of the share/,
    ],
  ]
  for (const [protocol, config, message] of cases) {
    await using w = await world({ driver_info: { vmedia_transport_protocol: protocol }, config })
    await assert.rejects(virtualMedia.validate(w.ctx), (error: Error) => {
      assert.ok(error instanceof InvalidInput, error.message)
      assert.match(error.message, message)
      assert.doesNotMatch(error.message, /hidden/)
      return true
    })
  }
})

test('a share whose address has no path is exported under the name of its directory, as in Ironic', async () => {
  for (const [base, begins] of [
    ['nfs://198.51.100.7', 'nfs://198.51.100.7/'],
    ['198.51.100.7:', '198.51.100.7:/'],
  ] as const) {
    const config = { nfs: { base_url: base, share_path: share() } }
    await using w = await world({ driver_info: { vmedia_transport_protocol: 'NFS' }, config })
    await virtualMedia.prepareRamdisk(w.ctx, deploying)
    assert.ok(`${w.inserted[0]?.Image}`.startsWith(`${begins}${share().slice(1)}/`), `${w.inserted[0]?.Image}`)
    await virtualMedia.cleanUpRamdisk(w.ctx)
  }
})

test('an image is sent to a BMC that fetches none, read there block by block, and gone when it is taken out', async () => {
  await using w = await world({ driver_info: { vmedia_transport_protocol: 'PUSH' } })
  await virtualMedia.validate(w.ctx)
  await virtualMedia.prepareRamdisk(w.ctx, deploying)
  assert.deepEqual(w.inserted, [], 'it is told of no URL')
  assert.deepEqual(w.hardware.boot(), { enabled: 'Once', target: 'Cd' })
  const iso = await readFile(join(folder, 'ready.iso'))
  const read = await w.hardware.read()
  assert.ok(read.subarray(0, iso.length).equals(iso))
  assert.ok(
    read.subarray(iso.length).every(byte => byte === 0),
    'the last block is filled up',
  )
  assert.equal(await virtualMedia.servesInstance?.(w.ctx), true)

  // Again, as after a crash: the image before goes, the new one is there.
  await virtualMedia.prepareRamdisk(w.ctx, deploying)
  assert.ok((await w.hardware.read()).subarray(0, iso.length).equals(iso))

  await virtualMedia.cleanUpRamdisk(w.ctx)
  assert.equal(w.hardware.media(), null)
  assert.deepEqual(await readdir(join(folder, 'state', 'pushed')), [])
  assert.equal(await virtualMedia.servesInstance?.(w.ctx), false)
})

test('an image that the BMC lets go of serves no instance any more', async () => {
  const iso = `file://${folder}/ready.iso`
  const deploy: Partial<DeployInterface> = { instanceBoot: () => ({ kind: 'iso', iso }) }
  await using w = await world({ driver_info: { vmedia_transport_protocol: 'PUSH' }, deploy })
  await virtualMedia.prepareInstance(w.ctx)
  assert.equal(await virtualMedia.servesInstance?.(w.ctx), true)
  await w.hardware.streamed?.close()
  const limit = AbortSignal.timeout(60_000)
  while ((await virtualMedia.servesInstance?.(w.ctx)) && !limit.aborted) await sleep(20)
  assert.equal(await virtualMedia.servesInstance?.(w.ctx), false)
})

/** A BMC that takes an image, reads it, and does not tell of it. */
class SilentHardware extends ReadingHardware {
  /** Whether the connections by which images are sent are there still. */
  readonly open: boolean[] = []

  override media(): Media | null {
    return null
  }

  override async streamMedia(stream: Duplex): Promise<void> {
    const at = this.open.push(true) - 1
    for (const end of ['end', 'close', 'error']) stream.once(end, () => this.open.fill(false, at, at + 1))
    stream.resume()
  }
}

test('what does not show is not sent any longer, and neither is what an empty slot or a node that goes was sent', async () => {
  const hardware = new SilentHardware()
  await using w = await world({ driver_info: { vmedia_transport_protocol: 'PUSH' }, hardware })
  const ended = async (count: number) => {
    assert.equal(isPushing(w.ctx), false)
    const limit = AbortSignal.timeout(60_000)
    while (hardware.open.at(-1) && !limit.aborted) await sleep(20)
    assert.deepEqual(
      hardware.open,
      Array.from({ length: count }, () => false),
    )
  }
  const image = { url: `file://${folder}/ready.iso`, protocol: 'PUSH' as const }
  const { client } = await readSystem(w.ctx)
  const [slot] = (await readSlots(w.ctx)).filter(one => holds(one, 'cdrom'))
  assert.ok(slot)
  // Time that passes at once: a minute without the image.
  let aheadMs = 0
  const now = () => Date.now() + aheadMs
  const hurried: TestContext = Object.assign(Object.create(w.ctx), {
    clock: {
      now,
      sleep: async (ms: number) => {
        aheadMs += ms
      },
    },
  })
  await assert.rejects(insertMedia(hurried, 'cdrom', image), MediaNotInserted)
  await ended(1)
  for (const [count, stop] of [
    [2, () => ejectMedia(w.ctx, ['cdrom'])],
    [3, () => byHand.forget?.(w.ctx)],
  ] as const) {
    await pushMedia(w.ctx, client, slot, image.url)
    assert.equal(isPushing(w.ctx), true)
    await ejectMedia(w.ctx, ['floppy'])
    assert.equal(isPushing(w.ctx), true, 'it is in no floppy drive')
    await stop()
    await ended(count)
  }
})

test('a BMC that no image can be sent to is not tried otherwise; one that refuses says why', async () => {
  const plain = new ReadingHardware()
  Object.assign(plain, { streamMedia: undefined })
  await using w = await world({ driver_info: { vmedia_transport_protocol: 'PUSH' }, hardware: plain })
  await assert.rejects(virtualMedia.prepareRamdisk(w.ctx, deploying), (error: Error) => {
    assert.ok(error instanceof HardwareFault)
    assert.match(error.message, /Oem\/OpenBMC\/WebSocketEndpoint.*expected another vmedia_transport_protocol/)
    return true
  })
  const refusing = new ReadingHardware()
  refusing.streamMedia = async () => {
    throw new Error('not today')
  }
  await using other = await world({ driver_info: { vmedia_transport_protocol: 'PUSH' }, hardware: refusing })
  await assert.rejects(virtualMedia.prepareRamdisk(other.ctx, deploying), /let go of the image sent to .*Cd/)
})

/** Two ends of one line. */
function line(): [Duplex, Duplex] {
  const ends: Duplex[] = []
  for (const other of [1, 0]) {
    ends.push(
      new Duplex({
        read() {},
        write(chunk, _, done) {
          ends[other]?.push(chunk)
          done()
        },
        final(done) {
          ends[other]?.push(null)
          done()
        },
        destroy(error, done) {
          ends[other]?.push(null)
          done(error)
        },
      }),
    )
  }
  return [ends[0] as Duplex, ends[1] as Duplex] // both were just made
}

/** The words of NBD that readers say. */
const word = {
  flags: Buffer.from('00000001', 'hex'),
  exportName: Buffer.concat([Buffer.from('IHAVEOPT'), Buffer.from('0000000100000000', 'hex')]),
  request(type: number, offset: number, length: number): Buffer {
    const request = Buffer.alloc(28)
    request.writeUInt32BE(0x25609513)
    request.writeUInt16BE(type, 6)
    request.write('a handle', 8)
    request.writeBigUInt64BE(BigInt(offset), 16)
    request.writeUInt32BE(length, 24)
    return request
  },
}

test('a reader that wants to write, or more than there is, is told so; one that speaks otherwise is left', async () => {
  const path = join(folder, 'small')
  await writeFile(path, 'a small image')
  await using file = await open(path)
  const talk = async (said: Buffer[]) => {
    const [ours, theirs] = line()
    const heard: Buffer[] = []
    theirs.on('data', (chunk: Buffer) => heard.push(chunk))
    const ended = once(theirs, 'end')
    const served = serveNbd(ours, file).then(
      () => null,
      (error: unknown) => error,
    )
    theirs.end(Buffer.concat(said))
    const error = await served
    ours.end()
    await ended
    return { error, heard: Buffer.concat(heard) }
  }
  const begin = [word.flags, word.exportName]
  const requests = [
    word.request(1, 0, 4), // write, with its data
    Buffer.from('data'),
    word.request(0, 400, 512), // read beyond the end
    word.request(9, 0, 0), // nothing known
    word.request(0, 2, 5),
    word.request(2, 0, 0), // goodbye
  ]
  const { error, heard } = await talk([...begin, ...requests])
  assert.equal(error, null)
  // Greeting, size with flags and zeros, then four answers.
  const answers = heard.subarray(18 + 10 + 124)
  assert.equal(heard.readBigUInt64BE(18), 512n)
  assert.deepEqual(
    [0, 16, 32, 48].map(at => answers.readUInt32BE(at + 4)),
    [1, 22, 22, 0],
  )
  assert.equal(answers.subarray(64).toString(), 'small')

  for (const [said, message] of [
    [[word.flags, Buffer.from('GET / HTTP/1.1\r\n')], /no option/],
    [[...begin, Buffer.alloc(28)], /no request/],
    [[...begin, word.request(1, 0, 0x7fffffff)], /wants to write/],
    [[word.flags, word.exportName.subarray(0, 7)], /without a word/],
  ] as const) {
    const { error: broken } = await talk([...said])
    assert.ok(broken instanceof NbdBroken)
    assert.match(broken.message, message)
  }
})
