/** The driver against a BMC over real HTTPS: what it asks, and what it says when the BMC misbehaves. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FakeHardware } from '#lab/redfish/fake-hardware.ts'
import { redfishService } from '#lab/redfish/service.ts'
import { InvalidInput } from '#lib/fault.ts'
import { Unsupported } from '../driver.ts'
import { type TestContext, testContext } from '../test-context.ts'
import { type BmcPort, driverInfoOf, type FakeBmc, fakeBmc, openPort, redfishError } from './fake-bmc.ts'
import { BmcAccessDenied, BmcNotTrusted, BmcRefused, BmcUnreachable, NotRedfish } from './faults.ts'
import management from './management.ts'
import power from './power.ts'

const SYSTEM = '/redfish/v1/Systems/1'
const RESET = `${SYSTEM}/Actions/ComputerSystem.Reset`

interface World extends AsyncDisposable {
  bmc: FakeBmc
  port: BmcPort
  ctx: TestContext
}

async function world(
  given: {
    bmc?: Partial<FakeBmc>
    info?: Record<string, unknown>
    certificate?: Parameters<typeof openPort>[1]
    redfish?: Record<string, unknown>
  } = {},
): Promise<World> {
  const bmc = fakeBmc(given.bmc)
  const port = await openPort(bmc.handle, given.certificate)
  const ctx = await testContext({
    node: {
      driver_info: { ...driverInfoOf(port), ...given.info },
    },
    config: { redfish: { ...given.redfish } },
  })
  return {
    bmc,
    port,
    ctx,
    async [Symbol.asyncDispose]() {
      await ctx[Symbol.asyncDispose]()
      await port[Symbol.asyncDispose]()
    },
  }
}

function change(ctx: TestContext, info: Record<string, unknown>): void {
  ctx.node = { ...ctx.node, driver_info: { ...ctx.node.driver_info, ...info } }
}

test('power is read with one GET once the system is found, over kept connections', async () => {
  await using w = await world()
  assert.equal(await power.get(w.ctx), 'power off')
  assert.deepEqual(w.bmc.requests, [
    'GET /redfish/v1/',
    'POST /redfish/v1/SessionService/Sessions',
    'GET /redfish/v1/Systems',
    `GET ${SYSTEM}`,
  ])
  w.bmc.requests.length = 0
  await w.ctx.clock.sleep(1500)
  w.bmc.power = 'PoweringOff'
  assert.equal(await power.get(w.ctx), 'power on', 'it still has power')
  assert.deepEqual(w.bmc.requests, [`GET ${SYSTEM}`])
  // Health and boot device come from the same answer while it is recent.
  assert.equal(await management.getHealth(w.ctx), 'OK')
  assert.equal(await management.getBootMode(w.ctx), 'uefi')
  assert.deepEqual(w.bmc.requests, [`GET ${SYSTEM}`])
  assert.ok(w.port.connections <= 2, `${w.port.connections} connections`)
})

test('a closed client logs out', async () => {
  const w = await world()
  await power.get(w.ctx)
  assert.equal(w.bmc.tokens.size, 1)
  await w.ctx[Symbol.asyncDispose]()
  assert.equal(w.bmc.tokens.size, 0)
  await w.port[Symbol.asyncDispose]()
})

const powerCases = [
  ['Off', 'power on', 'On'],
  ['On', 'power on', undefined],
  ['PoweringOn', 'power on', undefined],
  ['On', 'power off', 'ForceOff'],
  ['Off', 'power off', undefined],
  ['PoweringOff', 'soft power off', undefined],
  ['On', 'soft power off', 'GracefulShutdown'],
  ['On', 'reset', 'ForceRestart'],
  ['Off', 'reset', 'On'],
] as const
for (const [state, target, type] of powerCases) {
  test(`power "${target}" of a machine that is ${state} sends ${type ?? 'nothing'}`, async () => {
    await using w = await world({ bmc: { power: state } })
    await power.set(w.ctx, target)
    assert.deepEqual(w.bmc.bodies, type === undefined ? [] : [{ ResetType: type }])
  })
}

test('a reset type the BMC lacks is replaced by its equal, or refused with what there is', async () => {
  await using w = await world({ bmc: { allowedResets: ['ForceOn', 'ForceOff'] } })
  await power.set(w.ctx, 'power on')
  assert.deepEqual(w.bmc.bodies, [{ ResetType: 'ForceOn' }])
  await assert.rejects(power.set(w.ctx, 'soft power off'), (error: Error) => {
    assert.ok(error instanceof Unsupported)
    assert.match(error.message, /offers reset types ForceOn, ForceOff; expected GracefulShutdown/)
    return true
  })
})

test('power on is repeated while the BMC answers 409, and content when the machine got there', async () => {
  await using w = await world()
  let conflicts = 2
  w.bmc.before = request => {
    if (!request.url.endsWith(RESET) || conflicts-- <= 0) return undefined
    return redfishError(409, 'ActionParameterValueConflict', 'The machine is still powering off.')
  }
  await power.set(w.ctx, 'power on')
  assert.deepEqual(w.ctx.pauses, [10_000, 10_000])
  assert.equal(w.bmc.power, 'On')

  w.bmc.power = 'On'
  w.bmc.before = request => {
    if (!request.url.endsWith(RESET)) return undefined
    w.bmc.power = 'Off'
    return redfishError(400, 'GeneralError', 'already')
  }
  await power.set(w.ctx, 'power off')
})

test('a 409 that does not pass ends with what the BMC says', async () => {
  await using w = await world({ redfish: { power_on_conflict_retry_attempts: 1 } })
  w.bmc.before = request =>
    request.url.endsWith(RESET) ? redfishError(409, 'ResourceInUse', 'A firmware update runs.') : undefined
  await assert.rejects(power.set(w.ctx, 'power on'), (error: Error) => {
    assert.ok(error instanceof BmcRefused)
    assert.equal(
      error.message,
      `The BMC at ${w.port.url} answered POST ${RESET} with HTTP 409: A firmware update runs. [Base.1.8.ResourceInUse]`,
    )
    return true
  })
})

test('a power request whose connection is cut is looked after, not sent blindly again', async () => {
  await using w = await world()
  w.bmc.before = request => {
    if (!request.url.endsWith(RESET)) return undefined
    w.bmc.power = 'On'
    throw new Error('cut')
  }
  await power.set(w.ctx, 'power on')
  assert.equal(w.bmc.requests.filter(line => line === `POST ${RESET}`).length, 1)
})

test('a session that the BMC forgot is opened anew, once', async () => {
  await using w = await world()
  await power.get(w.ctx)
  w.bmc.tokens.clear()
  w.bmc.requests.length = 0
  await w.ctx.clock.sleep(2000)
  assert.equal(await power.get(w.ctx), 'power off')
  assert.deepEqual(w.bmc.requests, [`GET ${SYSTEM}`, 'POST /redfish/v1/SessionService/Sessions', `GET ${SYSTEM}`])
})

test('a login whose answer is lost is asked for again', async () => {
  await using w = await world()
  let lost = 2
  w.bmc.before = request => {
    if (request.method === 'POST' && lost-- > 0) throw new Error('cut')
    return undefined
  }
  assert.equal(await power.get(w.ctx), 'power off')
  assert.equal(w.bmc.requests.filter(line => line.startsWith('POST')).length, 3)
})

test('without sessions, auto uses basic authentication; so it does when sessions are used up', async () => {
  await using none = await world({ bmc: { hasSessions: false } })
  assert.equal(await power.get(none.ctx), 'power off')
  assert.equal(
    none.bmc.requests.some(line => line.includes('Sessions')),
    false,
  )

  for (const status of [400, 503]) {
    await using full = await world()
    full.bmc.before = request =>
      request.url.endsWith('/Sessions') ? redfishError(status, 'SessionLimitExceeded', 'Too many sessions.') : undefined
    assert.equal(await power.get(full.ctx), 'power off')
    assert.deepEqual(full.ctx.pauses, [], `nothing is waited for after ${status}`)
  }
})

test('redfish_auth_type is obeyed', async () => {
  await using basic = await world({ info: { redfish_auth_type: 'basic' } })
  await power.get(basic.ctx)
  assert.deepEqual(basic.bmc.requests, ['GET /redfish/v1/', 'GET /redfish/v1/Systems', `GET ${SYSTEM}`])
  await using session = await world({ bmc: { hasSessions: false }, info: { redfish_auth_type: 'session' } })
  session.bmc.before = request =>
    request.method === 'POST' ? redfishError(405, 'OperationNotAllowed', 'No.') : undefined
  await assert.rejects(power.get(session.ctx), BmcRefused)
})

for (const type of ['session', 'basic', 'auto']) {
  test(`a wrong password (${type}) is named, is tried once, and appears nowhere`, async () => {
    await using w = await world({ info: { redfish_password: 'wrong battery', redfish_auth_type: type } })
    await assert.rejects(power.get(w.ctx), (error: Error) => {
      assert.ok(error instanceof BmcAccessDenied)
      assert.match(
        error.message,
        /refused user "admin" \((POST|GET) .* with HTTP 401\); check redfish_username and redfish_password/,
      )
      assert.doesNotMatch(error.message, /wrong battery/)
      return true
    })
    const logins = w.bmc.requests.filter(line => line.startsWith('POST') || line.endsWith('/Systems'))
    assert.equal(logins.length, 1)
    assert.deepEqual(w.ctx.pauses, [])
  })
}

test('a busy BMC is asked again with growing pauses, as often as configured', async () => {
  await using w = await world()
  await power.get(w.ctx)
  await w.ctx.clock.sleep(2000)
  w.ctx.pauses.length = 0
  let failures = 3
  w.bmc.before = () => (failures-- > 0 ? new Response('<h1>Service unavailable</h1>', { status: 503 }) : undefined)
  assert.equal(await power.get(w.ctx), 'power off')
  const [first = 0, second = 0, third = 0] = w.ctx.pauses
  assert.ok(first >= 750 && first <= 1250 && second >= 1500 && second <= 2500 && third >= 3000 && third <= 5000)

  failures = 99
  await w.ctx.clock.sleep(2000)
  await assert.rejects(power.get(w.ctx), (error: Error) => {
    assert.ok(error instanceof BmcRefused)
    assert.equal(error.message, `The BMC at ${w.port.url} answered GET ${SYSTEM} with HTTP 503: Service unavailable`)
    return true
  })
  assert.equal(99 - failures, 5)
})

test('Retry-After is respected', async () => {
  await using w = await world()
  let failures = 1
  w.bmc.before = () =>
    failures-- > 0 ? new Response(null, { status: 503, headers: { 'retry-after': '7' } }) : undefined
  await power.get(w.ctx)
  assert.deepEqual(w.ctx.pauses, [7000])
})

test('a connection that the BMC cuts is opened again', async () => {
  await using w = await world()
  await power.get(w.ctx)
  await w.ctx.clock.sleep(2000)
  w.port.cut()
  let cuts = 2
  w.bmc.before = () => {
    if (cuts-- > 0) throw new Error('cut')
    return undefined
  }
  assert.equal(await power.get(w.ctx), 'power off')
})

test('a BMC that takes a request and never answers is given up', async () => {
  await using w = await world({ redfish: { read_timeout: 1, connection_attempts: 2 } })
  w.bmc.before = () => new Promise(() => {})
  await assert.rejects(power.get(w.ctx), (error: Error) => {
    assert.ok(error instanceof BmcUnreachable)
    assert.equal(
      error.message,
      `Cannot finish GET /redfish/v1/ at the BMC at ${w.port.url} (2 attempts): it took the request and did not answer in time`,
    )
    return true
  })
})

test('what cannot be connected to is told apart', async () => {
  const refused = await testContext({ node: { driver_info: { redfish_address: 'https://127.0.0.1:1' } } })
  await assert.rejects(power.get(refused), (error: Error) => {
    assert.ok(error instanceof BmcUnreachable)
    assert.equal(
      error.message,
      'Cannot connect to the BMC at https://127.0.0.1:1 (5 attempts): the connection was refused: nothing listens there',
    )
    return true
  })
  const unknown = await testContext({ node: { driver_info: { redfish_address: 'bmc.invalid' } } })
  await assert.rejects(
    power.get(unknown),
    /Cannot connect to the BMC at https:\/\/bmc\.invalid.*the name cannot be resolved/,
  )

  const plain = createServer(socket => socket.end('SSH-2.0-OpenSSH_9.2\r\n'))
  await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
  const address = plain.address()
  const port = typeof address === 'object' ? address?.port : 0
  const ssh = await testContext({ node: { driver_info: { redfish_address: `127.0.0.1:${port}` } } })
  await assert.rejects(
    power.get(ssh),
    (error: Error) => error instanceof BmcNotTrusted && /does not speak TLS/.test(error.message),
  )
  const http = await testContext({ node: { driver_info: { redfish_address: `http://127.0.0.1:${port}` } } })
  await assert.rejects(
    power.get(http),
    (error: Error) => error instanceof NotRedfish && /does not speak HTTP/.test(error.message),
  )
  plain.close()
})

test('something else on the port is not taken for a BMC', async () => {
  await using w = await world()
  w.bmc.before = () => new Response('<html>Router login</html>')
  await assert.rejects(power.get(w.ctx), (error: Error) => {
    assert.ok(error instanceof NotRedfish)
    assert.match(
      error.message,
      /Cannot find a Redfish service at .*\/redfish\/v1\/: it answered HTTP 200 with something that is not JSON; check redfish_address/,
    )
    return true
  })
})

test('a body that does not fit names the place', async () => {
  await using w = await world()
  w.bmc.power = 7 as unknown as string
  await assert.rejects(power.get(w.ctx), /Cannot read the system at https:.*Systems\/1: \/PowerState/)
})

test('certificates: by authority file, by directory, by fingerprint, or not at all', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-ca-'))
  try {
    const unset = { redfish_tls_fingerprint: '' }
    await using w = await world({ info: unset })
    await assert.rejects(power.get(w.ctx), (error: Error) => {
      assert.ok(error instanceof BmcNotTrusted)
      assert.match(
        error.message,
        new RegExp(
          `its certificate is self-signed and not known here \\(certificate of "bmc", SHA-256 ${w.port.fingerprint}\\)`,
        ),
      )
      return true
    })
    assert.deepEqual(w.bmc.requests, [])

    const file = join(directory, 'bmc.pem')
    await writeFile(file, w.port.certPem)
    for (const redfish_verify_ca of [file, directory, false, 'false']) {
      change(w.ctx, { redfish_verify_ca })
      await power.validate(w.ctx)
      assert.equal(await power.get(w.ctx), 'power off')
    }
    change(w.ctx, { redfish_tls_fingerprint: `sha256:${'0'.repeat(64)}` })
    await assert.rejects(power.get(w.ctx), /expected 0{64} \(redfish_tls_fingerprint\)/)
    change(w.ctx, { ...unset, redfish_verify_ca: join(directory, 'none.pem') })
    await assert.rejects(
      power.validate(w.ctx),
      /redfish_verify_ca names .*none\.pem, which this conductor cannot read \(ENOENT\)/,
    )
    await assert.rejects(power.get(w.ctx), BmcNotTrusted)
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('a certificate in another name is refused, unless the file holds this very certificate', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-ca-'))
  try {
    await using w = await world({
      certificate: { names: ['idrac-1'], addresses: [] },
      info: { redfish_tls_fingerprint: null },
    })
    const file = join(directory, 'bmc.pem')
    await writeFile(file, w.port.certPem)
    change(w.ctx, { redfish_verify_ca: file })
    assert.equal(await power.get(w.ctx), 'power off')
    await using other = await world({
      certificate: { expired: true },
      info: { redfish_tls_fingerprint: null, redfish_verify_ca: file },
    })
    await writeFile(file, other.port.certPem)
    await assert.rejects(power.get(other.ctx), /its certificate has expired/)
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('a BMC with several systems wants to be told which', async () => {
  await using w = await world({ bmc: { systems: ['left', 'right'] } })
  await assert.rejects(power.get(w.ctx), (error: Error) => {
    assert.ok(error instanceof InvalidInput)
    assert.match(
      error.message,
      /it has 2 \(\/redfish\/v1\/Systems\/left, \/redfish\/v1\/Systems\/right\); expected driver_info\/redfish_system_id/,
    )
    return true
  })
  for (const redfish_system_id of ['/redfish/v1/Systems/right', 'right']) {
    change(w.ctx, { redfish_system_id })
    assert.equal(await power.get(w.ctx), 'power off')
  }
  change(w.ctx, { redfish_system_id: 'middle' })
  await assert.rejects(power.get(w.ctx), /answered GET \/redfish\/v1\/Systems\/middle with HTTP 404/)
})

test('the boot device is set when it changes, and read back', async () => {
  await using w = await world()
  await management.setBootDevice(w.ctx, 'pxe', { persistent: false })
  assert.deepEqual(w.bmc.bodies, [{ Boot: { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' } }])
  assert.deepEqual(await management.getBootDevice(w.ctx), { boot_device: 'pxe', persistent: false })
  await management.setBootDevice(w.ctx, 'pxe', { persistent: false })
  assert.equal(w.bmc.bodies.length, 1)
  await management.setBootDevice(w.ctx, 'disk', { persistent: true })
  assert.deepEqual(await management.getBootDevice(w.ctx), { boot_device: 'disk', persistent: true })
  assert.deepEqual(await management.supportedBootDevices(w.ctx), ['pxe', 'disk', 'cdrom', 'bios'])
  await assert.rejects(
    management.setBootDevice(w.ctx, 'floppy', { persistent: false }),
    /Cannot set boot device floppy .*expected one of pxe, disk, cdrom, bios/,
  )
})

test('vendors that want it otherwise get it otherwise', async () => {
  await using supermicro = await world({ bmc: { manufacturer: 'Supermicro' } })
  await management.setBootDevice(supermicro.ctx, 'pxe', { persistent: false })
  await management.setBootDevice(supermicro.ctx, 'pxe', { persistent: false })
  assert.equal(supermicro.bmc.bodies.length, 2)
  await using ami = await world({ bmc: { manufacturer: 'American Megatrends International' } })
  await management.setBootDevice(ami.ctx, 'disk', { persistent: true })
  assert.deepEqual(ami.bmc.bodies, [
    {
      Boot: {
        BootSourceOverrideTarget: 'Hdd',
        BootSourceOverrideMode: 'UEFI',
        BootSourceOverrideEnabled: 'Continuous',
      },
    },
  ])
})

test('firmware without lasting overrides gets one for the next boot', async () => {
  await using w = await world()
  w.bmc.before = (request, body) =>
    request.method === 'PATCH' && JSON.stringify(body).includes('Continuous')
      ? redfishError(400, 'PropertyValueNotInList', 'Continuous is not supported.')
      : undefined
  await management.setBootDevice(w.ctx, 'disk', { persistent: true })
  assert.deepEqual(await management.getBootDevice(w.ctx), { boot_device: 'disk', persistent: false })
})

test('a change that firmware refuses while it starts is repeated', async () => {
  await using w = await world()
  let refusals = 2
  w.bmc.before = request =>
    request.method === 'PATCH' && refusals-- > 0
      ? redfishError(400, 'UnableToModifyDuringSystemPOST', 'Try after POST.')
      : undefined
  await management.setBootDevice(w.ctx, 'disk', { persistent: true })
  assert.deepEqual(w.ctx.pauses, [5000, 10_000])
  assert.equal(w.bmc.boot.BootSourceOverrideEnabled, 'Continuous')
})

test('ETags go along; a BMC that refuses its own gets the strong form, then none', async () => {
  await using w = await world({ bmc: { etag: 'W/"17"' } })
  const sent: (string | null)[] = []
  w.bmc.before = request => {
    if (request.method !== 'PATCH') return undefined
    sent.push(request.headers.get('if-match'))
    return sent.at(-1) === null ? undefined : redfishError(412, 'PreconditionFailed', 'No.')
  }
  await management.setBootDevice(w.ctx, 'pxe', { persistent: false })
  assert.deepEqual(sent, ['W/"17"', '"17"', null])
})

test('MAC addresses of usable NICs, maker, NMI', async () => {
  await using w = await world({
    bmc: {
      nics: [
        { mac: '52:54:00:AA:00:01', state: 'Enabled' },
        { mac: '52-54-00-aa-00-02', state: 'Enabled' },
        { mac: '52:54:00:aa:00:03', state: 'Absent' },
        { mac: '', state: 'Enabled' },
        { mac: null, state: 'Enabled' },
      ],
    },
  })
  assert.deepEqual(await management.macAddresses(w.ctx), ['52:54:00:aa:00:01', '52:54:00:aa:00:02'])
  assert.equal(await management.getVendor(w.ctx), 'Acme')
  await management.injectNmi(w.ctx)
  assert.deepEqual(w.bmc.bodies, [{ ResetType: 'Nmi' }])
})

test('driver_info is checked as a whole, without asking the BMC', async () => {
  const ctx = await testContext({
    node: {
      driver_info: {
        redfish_address: 'ftp://bmc',
        redfish_password: 'x',
        redfish_auth_type: 'magic',
        redfish_tls_fingerprint: 'abc',
      },
    },
  })
  await assert.rejects(power.validate(ctx), (error: Error) => {
    assert.ok(error instanceof InvalidInput)
    for (const part of [
      'redfish_address is "ftp://bmc", expected a URL',
      'redfish_auth_type is "magic", expected one of basic, session, auto',
      'redfish_tls_fingerprint is not a SHA-256 in hex',
      'redfish_password is set without redfish_username',
    ]) {
      assert.ok(error.message.includes(part), part)
    }
    return true
  })
  ctx.node = { ...ctx.node, driver_info: {} }
  await assert.rejects(power.validate(ctx), /redfish_address is missing/)
  change(ctx, { redfish_address: 'https://root:calvin@bmc' })
  await assert.rejects(power.validate(ctx), (error: Error) => !error.message.includes('calvin'))
})

test('a call that is aborted ends at once', async () => {
  const abort = new AbortController()
  await using w = await world()
  w.bmc.before = () => new Promise(() => {})
  const call = power.get({ ...w.ctx, signal: abort.signal })
  setTimeout(() => abort.abort(new Error('enough')), 50)
  await assert.rejects(call, /enough/)
})

test("the lab's BMC, strict as it is, is driven through a whole course", async () => {
  const hardware = new FakeHardware()
  const account = { username: 'lab', password: 'lab-password' }
  await using port = await openPort(redfishService({ hardware, account, now: () => Date.now() }))
  await using ctx = await testContext({
    node: {
      driver_info: {
        redfish_address: port.url,
        redfish_username: 'lab',
        redfish_password: 'lab-password',
        redfish_tls_fingerprint: port.fingerprint,
      },
    },
  })
  assert.equal(await power.get(ctx), 'power off')
  await management.setBootDevice(ctx, 'pxe', { persistent: false })
  assert.deepEqual(await management.getBootDevice(ctx), { boot_device: 'pxe', persistent: false })
  await power.set(ctx, 'power on')
  await power.set(ctx, 'power on')
  await new Promise(resolve => setTimeout(resolve, 20))
  assert.equal(await power.get(ctx), 'power on')
  await management.setBootDevice(ctx, 'disk', { persistent: true })
  assert.deepEqual(await management.getBootDevice(ctx), { boot_device: 'disk', persistent: true })
  await power.set(ctx, 'reset')
  await power.set(ctx, 'power off')
  assert.deepEqual(hardware.resets, ['On', 'ForceRestart', 'ForceOff'])
  assert.ok((await management.macAddresses(ctx)).every(mac => /^[0-9a-f:]{17}$/.test(mac)))
})

const measured = (hasSubsystems: boolean): FakeHardware => {
  const hardware = new FakeHardware()
  hardware.measured = {
    hasSubsystems,
    temperatures: [
      { name: 'CPU1', context: 'CPU', celsius: 51.5 },
      { name: 'Inlet', context: 'Intake', celsius: 22 },
    ],
    fans: [
      { name: 'Fan', rpm: 5400, health: 'OK' },
      { name: 'Fan', rpm: 0, health: 'Critical' },
    ],
    supplies: [{ name: 'PSU1', watts: 210, capacityWatts: 800, health: 'Warning' }],
  }
  return hardware
}

for (const [hasSubsystems, how] of [
  [true, 'a resource for each part'],
  [false, 'one resource for all parts'],
] as const) {
  test(`sensors are read from a BMC that has ${how}`, async () => {
    const account = { username: 'admin', password: 'correct horse' }
    const service = redfishService({ hardware: measured(hasSubsystems), account, now: () => Date.now() })
    await using w = await world({ bmc: { handle: service } })
    assert.deepEqual(await management.getSensors?.(w.ctx), {
      System: { system: { health: 'OK' } },
      Temperature: {
        CPU1: { reading: 51.5, unit: 'celsius', about: 'CPU', ...(hasSubsystems ? {} : { health: 'OK' }) },
        Inlet: { reading: 22, unit: 'celsius', about: 'Intake', ...(hasSubsystems ? {} : { health: 'OK' }) },
      },
      Fan: {
        Fan: { reading: 5400, unit: 'rpm', health: 'OK' },
        'Fan #2': { reading: 0, unit: 'rpm', health: 'Critical' },
      },
      Power: { PSU1: { reading: 210, unit: 'watts', health: 'Warning' } },
      Drive: { disk0: { health: 'OK' } },
    })
  })
}

test('a BMC that has no sensors tells what it has', async () => {
  await using w = await world()
  assert.deepEqual(await management.getSensors?.(w.ctx), { System: { system: { health: 'OK' } } })
})
