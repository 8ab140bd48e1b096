/** Consoles through the lab's BMC: its serial port by WebSocket and by IPMI, and a screen that QEMU really shows by RFB. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startFakeBmc } from '#lab/ipmi/fake-bmc.ts'
import { FakeHardware } from '#lab/redfish/fake-hardware.ts'
import { RedfishServer } from '#lab/redfish/server.ts'
import { type RedfishService, redfishService } from '#lab/redfish/service.ts'
import { InvalidInput } from '#lib/fault.ts'
import { selfSigned } from '#lib/x509.ts'
import { Unsupported } from '../driver.ts'
import { type TestContext, testContext } from '../test-context.ts'
import graphical, { NotAScreen } from './graphical-console.ts'
import serial from './serial-console.ts'

const account = { username: 'admin', password: 'of the BMC' }
const certificate = selfSigned({
  commonName: 'bmc',
  ipAddresses: ['127.0.0.1'],
  notBefore: new Date(Date.now() - 1000),
  notAfter: new Date(Date.now() + 3600_000),
  curve: 'p256',
})

const folder = await mkdtemp(join(tmpdir(), 'ferrite-screen-'))
after(() => rm(folder, { recursive: true, force: true }))

interface World extends AsyncDisposable {
  hardware: FakeHardware
  ctx: TestContext
}

async function world(given: {
  hardware?: FakeHardware
  driver_info?: Record<string, unknown>
  /** What the system tells instead. */
  system?: Record<string, unknown>
}): Promise<World> {
  const hardware = given.hardware ?? new FakeHardware()
  const service = redfishService({ hardware, account, now: Date.now })
  const telling = async (request: Request) => {
    const answer = await service(request)
    if (request.method !== 'GET' || !request.url.endsWith('/Systems/1')) return answer
    return Response.json({ ...((await answer.json()) as object), ...given.system }) // a resource
  }
  const server = new RedfishServer({
    service: Object.assign(telling, { connect: service.connect }) satisfies RedfishService,
    ...certificate,
    address: '127.0.0.1',
    port: 0,
    accessLog: null,
  })
  await server.open()
  const ctx = await testContext({
    node: {
      driver_info: {
        redfish_address: `https://127.0.0.1:${server.port}`,
        redfish_username: account.username,
        redfish_password: account.password,
        redfish_verify_ca: false,
        ...given.driver_info,
      },
    },
    config: { redfish: { connection_attempts: 1 }, console: { socat_address: '127.0.0.1' } },
  })
  return {
    hardware,
    ctx,
    async [Symbol.asyncDispose]() {
      await ctx[Symbol.asyncDispose]()
      await server.end()
    },
  }
}

/** Somebody at a stream, and all that was shown. */
function watching(stream: Duplex) {
  const shown = { text: '' }
  stream.on('data', bytes => {
    shown.text += bytes.toString('latin1')
  })
  stream.on('error', () => {})
  return shown
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const endMs = Date.now() + 60_000; !holds(); ) {
    assert.ok(Date.now() < endMs, `never: ${what}`)
    await sleep(5)
  }
}

async function dial(url: string | undefined): Promise<Socket> {
  const { hostname, port } = new URL(url ?? '')
  const socket = connect({ host: hostname, port: Number(port) })
  await once(socket, 'connect')
  return socket
}

test('the serial port comes by a WebSocket of the BMC, both ways, and again after it broke', async () => {
  await using w = await world({})
  await serial.validate(w.ctx)
  await serial.start(w.ctx)
  const access = await serial.access(w.ctx)
  assert.equal(access?.type, 'socat')
  const person = await dial(access?.url)
  const shown = watching(person)
  // It is open once what the machine writes arrives.
  const writing = setInterval(() => w.hardware.serial.write('login: '), 20)
  await until('a prompt', () => shown.text.includes('login: '))
  clearInterval(writing)
  person.write('root\r')
  await until('typed', () => w.hardware.serial.typed === 'root\r')
  person.destroy()
  await serial.stop(w.ctx)
  assert.equal(await serial.access(w.ctx), null)
})

test('a BMC that tells of Serial over LAN is asked for it with the same account', async () => {
  const user = { name: account.username, password: account.password, privilege: 'ADMINISTRATOR' } as const
  await using ipmi = await startFakeBmc({ users: [user] })
  const system = { SerialConsole: { IPMI: { ServiceEnabled: true, Port: ipmi.port.port } } }
  await using w = await world({ system })
  await serial.start(w.ctx)
  const person = await dial((await serial.access(w.ctx))?.url)
  const shown = watching(person)
  const writing = setInterval(() => ipmi.hardware.serial.write('from IPMI'), 20)
  await until('what the machine writes', () => shown.text.includes('from IPMI'))
  clearInterval(writing)
  person.destroy()
  await serial.stop(w.ctx)
})

test('a BMC without a way that we know is told with those it has, and nothing is switched on', async () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ SerialConsole: undefined }, /tells of none; expected WebSocket or IPMI switched on/],
    [
      { SerialConsole: { SSH: { ServiceEnabled: true, Port: 2200 }, IPMI: { ServiceEnabled: false } } },
      /tells of IPMI \(off\), SSH \(on\); expected .* driver_info\/redfish_serial_socket/,
    ],
  ]
  for (const [system, message] of cases) {
    await using w = await world({ system })
    await assert.rejects(serial.start(w.ctx), (error: Error) => {
      assert.ok(error instanceof Unsupported)
      assert.match(error.message, message)
      return true
    })
    assert.equal(await serial.access(w.ctx), null)
    await assert.rejects(graphical.start(w.ctx), /tells of none; expected a GraphicalConsole by KVMIP that is on/)
  }
  for (const redfish_graphical_socket of ['wss://203.0.113.9/kvm', '//203.0.113.9/kvm', 'kvm/0']) {
    await using w = await world({ driver_info: { redfish_graphical_socket } })
    await assert.rejects(graphical.validate(w.ctx), (error: Error) => {
      assert.ok(error instanceof InvalidInput)
      assert.match(error.message, /redfish_graphical_socket is .*, expected a path of the BMC/)
      return true
    })
  }
})

/** A machine whose screen QEMU shows; it has no processor, and nothing runs. */
class ShownHardware extends FakeHardware {
  readonly #socket: string
  constructor(socket: string) {
    super()
    this.#socket = socket
  }
  openScreen(): Duplex {
    return connect(this.#socket)
  }
}

async function qemuScreen(): Promise<{ socket: string } & AsyncDisposable> {
  const socket = join(folder, 'screen')
  const args = ['-machine', 'none', '-nodefaults', '-S', '-vnc', `unix:${socket}`]
  const qemu = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args], { stdio: 'ignore' })
  let listens = false
  for (const endMs = Date.now() + 60_000; !listens; ) {
    assert.ok(Date.now() < endMs && qemu.exitCode === null, 'QEMU shows no screen')
    const probe = connect(socket)
    listens = await once(probe, 'connect').then(
      () => true,
      () => false,
    )
    probe.destroy()
    await sleep(20)
  }
  return {
    socket,
    async [Symbol.asyncDispose]() {
      const closed = once(qemu, 'close')
      qemu.kill('SIGKILL')
      await closed
    },
  }
}

/** The two ends of a connection, as the API's WebSocket gives one. */
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
        destroy(error, done) {
          setImmediate(() => ends[other]?.destroy())
          done(error)
        },
      }),
    )
  }
  return [ends[0] as Duplex, ends[1] as Duplex] // both were just made
}

async function taken(stream: Duplex, length: number): Promise<Buffer> {
  const limit = AbortSignal.timeout(60_000)
  while (stream.readableLength < length) await once(stream, 'readable', { signal: limit })
  return stream.read(length)
}

test("a viewer of VNC gets as far as the machine's screen, each by a connection of its own", async () => {
  await using qemu = await qemuScreen()
  await using w = await world({ hardware: new ShownHardware(qemu.socket) })
  await graphical.validate(w.ctx)
  assert.equal(graphical.stream(w.ctx), null, 'not before it is switched on')
  await graphical.start(w.ctx)
  await graphical.start(w.ctx)
  const access = await graphical.access(w.ctx)
  assert.equal(access?.type, 'vnc')
  assert.match(access?.url ?? '', /^ws:\/\/.*\/v1\/nodes\/[0-9a-f-]{36}\/states\/console\/stream$/)
  const viewers: Duplex[] = []
  for (const _ of [1, 2]) {
    const [viewer, ours] = line()
    viewers.push(viewer)
    graphical.stream(w.ctx)?.(ours)
    // RFC 6143, 7.1: version, security type "none", its result, a shared session, then the screen.
    assert.equal(String(await taken(viewer, 12)), 'RFB 003.008\n')
    viewer.write('RFB 003.008\n')
    assert.deepEqual([...(await taken(viewer, 2))], [1, 1])
    viewer.write(Buffer.from([1]))
    assert.equal((await taken(viewer, 4)).readUInt32BE(), 0)
    viewer.write(Buffer.from([1]))
    const screen = await taken(viewer, 24)
    assert.ok(screen.readUInt16BE(0) >= 320 && screen.readUInt16BE(2) >= 200)
    assert.match(String(await taken(viewer, screen.readUInt32BE(20))), /QEMU/)
  }
  await graphical.stop(w.ctx)
  await until('the viewers are gone', () => viewers.every(viewer => viewer.destroyed))
  assert.equal(await graphical.access(w.ctx), null)
})

test('what is no screen is not offered as one', async () => {
  await using w = await world({ driver_info: { redfish_graphical_socket: '/console/default' } })
  const writing = setInterval(() => w.hardware.serial.write('login: '), 20)
  try {
    await assert.rejects(graphical.start(w.ctx), (error: Error) => {
      assert.ok(error instanceof NotAScreen)
      assert.match(error.message, /\/console\/default of the BMC at .* says "login: .*expected RFB/)
      return true
    })
  } finally {
    clearInterval(writing)
  }
  await using none = await world({ driver_info: { redfish_graphical_socket: '/none' } })
  await assert.rejects(graphical.start(none.ctx), /\/none.*HTTP 404/)
})
