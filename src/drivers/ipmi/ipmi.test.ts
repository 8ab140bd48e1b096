/** The driver against a simulated BMC over real UDP: what it asks, and what it says when the BMC misbehaves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInput } from '#lib/fault.ts'
import { commands, completion, netFns } from '#protocol/ipmi/commands.ts'
import { authTypes, decodePacket, payloadTypes } from '#protocol/ipmi/packet.ts'
import { Unsupported } from '../driver.ts'
import { mayPass } from '../patience.ts'
import type { TestContext } from '../test-context.ts'
import { chassisStatus, controlChassis } from './chassis.ts'
import { IpmiClient } from './client.ts'
import { bmcSettings } from './driver-info.ts'
import { IpmiAccessDenied, IpmiNoSession, IpmiRefused, IpmiSilent } from './faults.ts'
import { change, ipmiContext, ipmiWorld, user } from './ipmi-world.ts'
import management from './management.ts'
import power from './power.ts'
import { Hub } from './rmcp/hub.ts'
import vendor, { sendRaw } from './vendor.ts'

const status = '00/01'
const raise = '06/3b'
const farewell = '06/3c'

test('power is read with one question, in a session that is kept and needs no privilege for it', async () => {
  await using w = await ipmiWorld()
  assert.equal(await power.get(w.ctx), 'power off')
  w.hardware.reset('On')
  assert.equal(await power.get(w.ctx), 'power on')
  assert.deepEqual(w.bmc.commands, [status, status])
  assert.equal(w.bmc.sessions.opened, 1)
  await w.ctx[Symbol.asyncDispose]()
  const endMs = Date.now() + 60_000
  while (w.bmc.sessions.size > 0 && Date.now() < endMs) await new Promise(resolve => setTimeout(resolve, 5))
  assert.deepEqual(w.bmc.commands.slice(2), [farewell], 'it says farewell')
})

const powerCases = [
  ['Off', 'power on', ['On']],
  ['On', 'power on', []],
  ['On', 'power off', ['ForceOff']],
  ['Off', 'power off', []],
  ['On', 'soft power off', ['GracefulShutdown']],
  ['Off', 'soft power off', []],
  ['On', 'reset', ['ForceRestart']],
  ['Off', 'reset', ['On']],
] as const
test('power is asked for as a state', async t => {
  await using w = await ipmiWorld()
  for (const [state, target, expected] of powerCases) {
    await t.test(`"${target}" of a machine that is ${state}`, async () => {
      w.hardware.reset(state === 'On' ? 'On' : 'ForceOff')
      w.hardware.resets.length = 0
      await power.set(w.ctx, target)
      assert.deepEqual(w.hardware.resets, expected)
    })
  }
  assert.equal(w.bmc.commands.filter(each => each === raise).length, 1, 'the privilege is raised once')
})

test('every cipher suite that we know, passwords of 20 bytes, and the key of a BMC', async () => {
  const suites = [0, 1, 2, 3, 6, 7, 8, 15, 16, 17]
  const key = Buffer.from('0102030405060708090a0b0c0d0e0f1011121314', 'hex')
  await using w = await ipmiWorld({
    bmc: { suites, key, maxSessions: 16 },
    info: { ipmi_hex_kg_key: key.toString('hex') },
  })
  for (const suite of suites) {
    change(w.ctx, { ipmi_cipher_suite: suite })
    assert.equal(await power.get(w.ctx), 'power off', `suite ${suite}`)
    await management.injectNmi(w.ctx).catch(error => assert.ok(error instanceof IpmiRefused))
  }
  change(w.ctx, { ipmi_cipher_suite: 3, ipmi_hex_kg_key: '0102' })
  await assert.rejects(power.get(w.ctx), (error: Error) => {
    assert.ok(error instanceof IpmiAccessDenied)
    assert.match(error.message, /another key of its own \(Kg\) than ours; check ipmi_hex_kg_key, which is set/)
    return true
  })
})

test('without a suite the best that the BMC has is taken, but none that proves nothing', async () => {
  const suites: number[] = []
  const loses = (way: string, datagram: Buffer) => {
    const packet = decodePacket(datagram)
    if (packet?.kind === '2.0' && packet.payloadType === payloadTypes.openRequest && way === 'to the BMC') {
      suites.push(packet.payload[12] ?? 0)
    }
    return false
  }
  for (const [has, taken] of [
    [[0, 1, 2, 3, 17], 3],
    [[0, 1, 2, 3], 1],
  ] as const) {
    await using w = await ipmiWorld({ bmc: { suites: has }, port: { loses } })
    await power.get(w.ctx)
    assert.deepEqual(suites.splice(0), [taken], 'the authentication algorithm')
  }
  await using w = await ipmiWorld({ bmc: { suites: [0, 1] } })
  await assert.rejects(power.get(w.ctx), (error: Error) => {
    assert.ok(error instanceof IpmiNoSession && !mayPass(error))
    assert.match(error.message, /no cipher suite match .* asked for cipher suite 17; check ipmi_cipher_suite/)
    return true
  })
})

test('[ipmi] cipher_suite_versions are tried from the last on', async () => {
  await using w = await ipmiWorld({ bmc: { suites: [2] }, ipmi: { cipher_suite_versions: ['1', '2', '3', '17'] } })
  assert.equal(await power.get(w.ctx), 'power off')
})

test('what is wrong with a session is said, and what may pass is told apart', async () => {
  const users = [user, { name: 'viewer', password: 'look', privilege: 'USER' }] as const
  await using w = await ipmiWorld({ bmc: { users, maxSessions: 1 } })
  const says = async (info: Record<string, unknown>, kind: new (...args: never) => Error, words: RegExp) => {
    change(w.ctx, info)
    await assert.rejects(power.get(w.ctx), (error: Error) => {
      assert.ok(error instanceof kind, `${error.name}: ${error.message}`)
      assert.match(error.message, words)
      assert.equal(error.message.includes(user.password), false)
      return true
    })
  }
  await says({ ipmi_password: 'wrong' }, IpmiAccessDenied, /proves another password for user "admin".*ipmi_password/)
  await says({ ipmi_username: 'nobody' }, IpmiAccessDenied, /unauthorized name.*does not know user "nobody"/)
  await says({ ipmi_username: '' }, IpmiAccessDenied, /does not know the user without a name/)
  await says({ ipmi_username: 'viewer' }, IpmiNoSession, /user "viewer" may not have privilege ADMINISTRATOR/)
  change(w.ctx, { ipmi_priv_level: 'USER', ipmi_password: 'look' })
  assert.equal(await power.get(w.ctx), 'power off')
  await assert.rejects(power.set(w.ctx, 'power on'), (error: Error) => {
    assert.ok(error instanceof IpmiRefused)
    assert.match(error.message, /chassis control "on" with "Insufficient privilege level \(0xd4\)"; ipmi_priv_level/)
    return true
  })
  change(w.ctx, { ipmi_username: user.name, ipmi_password: user.password, ipmi_priv_level: 'OPERATOR' })
  await assert.rejects(power.get(w.ctx), (error: Error) => {
    assert.ok(error instanceof IpmiNoSession && mayPass(error))
    assert.match(error.message, /others hold all sessions/)
    return true
  })
})

test('a BMC that is not there, or speaks another version', async () => {
  await using w = await ipmiWorld({ bmc: { speaks20: false } })
  await assert.rejects(power.get(w.ctx), /has no IPMI 2.0; set ipmi_protocol_version to 1.5/)
  await using silent = await ipmiWorld({ port: { loses: () => true } })
  await using one = hasty(silent.ctx, 200)
  await assert.rejects(chassisStatus(one.client, silent.ctx.signal), (error: Error) => {
    assert.ok(error instanceof IpmiSilent && mayPass(error))
    assert.match(error.message, /no answer within 0.2 s, to a ping of ASF neither: wrong address or port, a firewall/)
    return true
  })
  change(silent.ctx, { ipmi_address: 'no-such-host.invalid' })
  await assert.rejects(power.get(silent.ctx), /Cannot reach the BMC at no-such-host.invalid:\d+: .*check ipmi_address/)
})

test('IPMI 1.5 with MD5 and with the password itself', async () => {
  const users = [{ ...user, password: 'sixteen-bytes-ok' }]
  for (const type of [authTypes.md5, authTypes.password]) {
    const info = { ipmi_protocol_version: 1.5, ipmi_password: 'sixteen-bytes-ok' }
    await using w = await ipmiWorld({ bmc: { users, authTypes: [type], speaks20: false }, info })
    await power.set(w.ctx, 'power on')
    assert.equal(await power.get(w.ctx), 'power on')
    assert.equal(w.bmc.sessions.opened, 1)
    change(w.ctx, { ipmi_username: 'nobody' })
    await assert.rejects(power.get(w.ctx), IpmiAccessDenied)
  }
  await using w = await ipmiWorld({
    bmc: { users, authTypes: [5] },
    info: { ipmi_protocol_version: '1.5', ipmi_password: 'sixteen-bytes-ok' },
  })
  await assert.rejects(power.get(w.ctx), /offers authentication types 0x20, expected MD5 or password/)
})

/** A client that waits for packets but a moment. */
function hasty(ctx: TestContext, limitMs = 30_000): { client: IpmiClient } & AsyncDisposable {
  const hub = new Hub()
  const settings = { ...bmcSettings(ctx), firstPauseMs: 40, longestPauseMs: 80, commandLimitMs: limitMs }
  const client = new IpmiClient(settings, { hub, clock: ctx.clock })
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close()
      await hub[Symbol.asyncDispose]()
    },
  }
}

test('lost packets are sent again and carried out once, and a lost end of the opening begins a new one', async () => {
  // Each kind of packet is lost the first time, both ways.
  const seen = new Set<string>()
  const loses = (way: string, datagram: Buffer) => {
    const packet = decodePacket(datagram)
    const type = packet?.kind === '2.0' ? packet.payloadType : (packet?.kind ?? 'nothing')
    const name = `${way} ${type}`
    if (seen.has(name)) return false
    seen.add(name)
    return true
  }
  await using w = await ipmiWorld({ port: { loses }, info: { ipmi_cipher_suite: 3 } })
  await using one = hasty(w.ctx)
  await controlChassis(one.client, 'on', w.ctx.signal)
  assert.deepEqual(w.hardware.resets, ['On'])
  assert.equal(w.bmc.sessions.opened, 2, 'the answer to the last message of the first opening was lost')
  const types = [payloadTypes.openRequest, payloadTypes.rakp1, payloadTypes.rakp3, payloadTypes.message]
  for (const type of types) assert.ok(seen.has(`to the BMC ${type}`), [...seen].join(', '))
})

test('one packet in four is lost, and all is answered', async () => {
  let count = 0
  let chance = 7
  const loses = () => {
    count += 1
    chance = (chance * 1103515245 + 12345) % 2 ** 31
    return chance / 2 ** 31 < 0.25
  }
  await using w = await ipmiWorld({ port: { loses } })
  await using one = hasty(w.ctx)
  const { client } = one
  const all = await Promise.all(Array.from({ length: 40 }, () => chassisStatus(client, w.ctx.signal)))
  assert.ok(all.every(({ isOn }) => !isOn))
  assert.ok(count > 100)
})

test('a session that the BMC forgot is replaced', async () => {
  await using w = await ipmiWorld()
  await using one = hasty(w.ctx)
  await chassisStatus(one.client, w.ctx.signal)
  w.bmc.sessions.clear()
  assert.equal((await chassisStatus(one.client, w.ctx.signal)).isOn, false)
  assert.equal(w.bmc.sessions.opened, 2)
})

test('a suite that the BMC drops without a word is given up for the next', async () => {
  const loses = (_way: string, datagram: Buffer) => {
    const packet = decodePacket(datagram)
    return packet?.kind === '2.0' && packet.payloadType === payloadTypes.openRequest && packet.payload[12] === 3
  }
  await using w = await ipmiWorld({ port: { loses } })
  await using one = hasty(w.ctx)
  assert.equal((await chassisStatus(one.client, w.ctx.signal)).isOn, false)
})

test('answers of somebody else, and forged ones, are not believed', async () => {
  await using w = await ipmiWorld({ info: { ipmi_cipher_suite: 3 } })
  await using one = hasty(w.ctx, 1000)
  await chassisStatus(one.client, w.ctx.signal)
  const { handle } = w.bmc
  w.bmc.handle = async datagram => {
    const answers = await handle.call(w.bmc, datagram)
    return answers.map(answer => {
      const packet = decodePacket(answer)
      if (packet?.kind !== '2.0' || packet.sessionId === 0) return answer
      const forged = Buffer.from(answer)
      forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
      return forged
    })
  }
  await assert.rejects(chassisStatus(one.client, w.ctx.signal), (error: Error) => {
    assert.ok(error instanceof IpmiSilent)
    assert.match(error.message, /opened a session and then did not answer the question for its chassis status/)
    return true
  })
})

test('answers that say "later" are asked for again, others are not', async () => {
  let busy = 3
  const before = ({ command, netFn }: { command: number; netFn: number }) => {
    if (netFn !== netFns.chassis || command !== commands.chassis.status || busy <= 0) return undefined
    busy -= 1
    return completion.nodeBusy
  }
  await using w = await ipmiWorld({ bmc: { before } })
  assert.equal(await power.get(w.ctx), 'power off')
  assert.deepEqual(w.ctx.pauses, [1000, 2000, 4000])
  busy = 100
  await assert.rejects(power.get(w.ctx), (error: Error) => {
    assert.ok(error instanceof IpmiRefused && mayPass(error))
    assert.match(error.message, /"Node busy \(0xc0\)"/)
    return true
  })
  const waitedMs = w.ctx.pauses.slice(3).reduce((sum, ms) => sum + ms, 0)
  assert.ok(waitedMs > 50_000 && waitedMs <= 60_000, `${waitedMs} ms of command_retry_timeout`)

  await using other = await ipmiWorld({ bmc: { before: () => 0xd3 } })
  await assert.rejects(power.get(other.ctx), /Destination unavailable/)
  assert.deepEqual(other.ctx.pauses, [])
  await using listed = await ipmiWorld({
    bmc: { before: () => 0xd3 },
    ipmi: { additional_retryable_ipmi_errors: ['destination unavailable'], command_retry_timeout: 3 },
  })
  await assert.rejects(power.get(listed.ctx), /Destination unavailable/)
  assert.deepEqual(listed.ctx.pauses, [1000, 2000])
})

test('boot device: once and for good, for UEFI and BIOS, and no longer forgotten after a minute', async () => {
  const sent: string[] = []
  const before = ({ command, data }: { command: number; data: Uint8Array }) => {
    if (command === commands.chassis.setBootOptions) sent.push(Buffer.from(data).toString('hex'))
    return undefined
  }
  await using w = await ipmiWorld({ bmc: { before } })
  assert.deepEqual(await management.getBootDevice(w.ctx), { boot_device: null, persistent: null })
  await management.setBootDevice(w.ctx, 'pxe', { persistent: false })
  assert.deepEqual(sent.splice(0), ['0308', '05a004000000'])
  assert.deepEqual(w.hardware.boot(), { enabled: 'Once', target: 'Pxe' })
  assert.deepEqual(await management.getBootDevice(w.ctx), { boot_device: 'pxe', persistent: false })
  w.hardware.reset('On')
  assert.deepEqual(await management.getBootDevice(w.ctx), { boot_device: null, persistent: null }, 'used up')

  w.ctx.node = { ...w.ctx.node, properties: { capabilities: 'boot_mode:bios' } }
  change(w.ctx, { ipmi_disable_boot_timeout: 'no' })
  await management.setBootDevice(w.ctx, 'disk', { persistent: true })
  assert.deepEqual(sent.splice(0), ['05c008000000'])
  assert.deepEqual(await management.getBootDevice(w.ctx), { boot_device: 'disk', persistent: true })

  w.ctx.node = { ...w.ctx.node, properties: { vendor: 'Supermicro' } }
  await management.setBootDevice(w.ctx, 'disk', { persistent: true })
  assert.deepEqual(sent.splice(0), ['05e024000000'], 'the selector of a remote disk')
  await assert.rejects(management.setBootDevice(w.ctx, 'floppy', { persistent: false }), Unsupported)
  await assert.rejects(management.setBootMode(w.ctx, 'bios'), Unsupported)
})

test('a BMC that keeps no boot device gets it for the next boot, and again before each start', async () => {
  const sent: string[] = []
  const before = ({ command, data }: { command: number; data: Uint8Array }) => {
    if (command !== commands.chassis.setBootOptions) return undefined
    sent.push(Buffer.from(data).toString('hex'))
    if (data[0] === 3) return 0x80
    return ((data[1] ?? 0) & 0x40) !== 0 ? completion.invalidData : undefined
  }
  await using w = await ipmiWorld({ bmc: { before }, info: { ipmi_force_boot_device: true } })
  await management.setBootDevice(w.ctx, 'disk', { persistent: true })
  assert.deepEqual(sent.splice(0), ['0308', '05e008000000', '05a008000000'])
  await power.set(w.ctx, 'power on')
  assert.deepEqual(sent.splice(0), ['0308', '05a008000000'])
  await power.set(w.ctx, 'power on')
  assert.deepEqual(sent.splice(0), [], 'it runs: nothing starts')
})

test('sensors: their records are read in parts and kept, readings are in our units', async () => {
  await using w = await ipmiWorld({ bmc: { sdrBytes: 20 } })
  w.hardware.measured = {
    hasSubsystems: true,
    temperatures: [
      { name: 'Inlet', context: 'Intake', celsius: -3 },
      { name: 'CPU', context: 'CPU', celsius: 61 },
      { name: 'CPU', context: 'CPU', celsius: 62 },
    ],
    fans: [
      { name: 'Fan 1', rpm: 4200, health: 'OK' },
      { name: 'Fan 2', rpm: 900, health: 'Warning' },
    ],
    supplies: [
      { name: 'PSU1', watts: 180, capacityWatts: 800, health: 'OK' },
      { name: 'PSU2', watts: 0, capacityWatts: 800, health: 'Critical' },
    ],
  }
  const expected = {
    System: { chassis: { health: 'Critical', about: 'main power fault' } },
    Temperature: {
      Inlet: { health: 'OK', about: 'system board', reading: -3, unit: 'celsius' },
      CPU: { health: 'OK', about: 'system board', reading: 61, unit: 'celsius' },
      'CPU 7.3': { health: 'OK', about: 'system board', reading: 62, unit: 'celsius' },
    },
    Fan: {
      'Fan 1': { health: 'OK', about: 'fan', reading: 4200, unit: 'rpm' },
      'Fan 2': { health: 'Warning', about: 'fan', reading: 900, unit: 'rpm' },
    },
    Power: {
      'PSU1 Output': { health: 'OK', about: 'power supply', reading: 180, unit: 'watts' },
      'PSU1 Status': { health: 'OK', about: 'power supply' },
      'PSU2 Output': { health: 'OK', about: 'power supply', reading: 0, unit: 'watts' },
      'PSU2 Status': { health: 'Critical', about: 'power supply' },
    },
  }
  assert.deepEqual(await management.getSensors?.(w.ctx), expected)
  const first = w.bmc.commands.length
  assert.deepEqual(await management.getSensors?.(w.ctx), expected)
  const again = w.bmc.commands.length - first
  assert.equal(again, 3 + 9, 'status, device, repository, then one question for each sensor')
  assert.ok(first > 30)
  assert.equal(await management.getHealth(w.ctx), 'Critical')
})

test('a controller behind the BMC, and one behind that', async () => {
  const behind = new Map([
    [0x30, () => [0, 0x01, 0x02]],
    // A bridge: its answer comes from the one behind it.
    [0x32, () => [0, 0x03]],
  ])
  await using w = await ipmiWorld({ bmc: { behind } })
  change(w.ctx, { ipmi_bridging: 'single', ipmi_target_channel: '0', ipmi_target_address: '0x30' })
  assert.deepEqual([...(await sendRaw(w.ctx, '0x06 0x01'))], [1, 2])
  assert.deepEqual(w.bmc.commands.slice(-2), [raise, '06/34'])
  change(w.ctx, { ipmi_target_address: '0x40' })
  await assert.rejects(sendRaw(w.ctx, '6 1'), /raw command 0x06 0x01 with "a code of its own \(0x83\)"/)
})

test('raw commands are sent as they are, and what is none is refused before', async () => {
  await using w = await ipmiWorld()
  assert.equal((await sendRaw(w.ctx, '0x06 0x01')).length, 15)
  assert.deepEqual([...(await sendRaw(w.ctx, ' 0 0x01 '))], [0, 0, 0])
  for (const bad of ['', '6', '0x07 0x01', '6 256', '6 x', '6 0x100', '-1 2', 7, undefined, '6 '.repeat(300)]) {
    await assert.rejects(sendRaw(w.ctx, bad), InvalidInput, String(bad))
  }
  assert.deepEqual(
    vendor.steps?.map(({ interface: type, step, priority, kinds }) => [type, step, priority, kinds]),
    [['vendor', 'send_raw', 0, ['clean', 'deploy', 'service']]],
  )
})

test('an aborted question ends at once, and the next one works', async () => {
  await using w = await ipmiWorld()
  await power.get(w.ctx)
  const stop = new AbortController()
  const asked = power.get({ ...w.ctx, signal: stop.signal })
  stop.abort(new Error('enough'))
  await assert.rejects(asked, /enough/)
  assert.equal(await power.get(w.ctx), 'power off')
})

const badInfo: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ ipmi_address: undefined }, /ipmi_address is missing/],
  [{ ipmi_address: 'a b' }, /ipmi_address is "a b", expected an IP address or a host name/],
  [{ ipmi_address: '10.0.0.300' }, /ipmi_address is "10.0.0.300"/],
  [{ ipmi_address: ['10.0.0.3'] }, /ipmi_address is a list/],
  [{ ipmi_port: 0 }, /ipmi_port is "0", expected a number from 1 to 65535/],
  [{ ipmi_port: 'x' }, /ipmi_port is "x"/],
  [{ ipmi_terminal_port: 70000 }, /ipmi_terminal_port is "70000"/],
  [{ ipmi_priv_level: 'root' }, /ipmi_priv_level is "root", expected one of CALLBACK, USER, OPERATOR, ADMINISTRATOR/],
  [{ ipmi_protocol_version: '3' }, /ipmi_protocol_version is "3", expected one of 2.0, 1.5/],
  [{ ipmi_cipher_suite: 'x' }, /ipmi_cipher_suite is "x", expected one of 0, 1, 2, 3/],
  [{ ipmi_cipher_suite: 4 }, /ipmi_cipher_suite is "4"/],
  [{ ipmi_cipher_suite: 3, ipmi_protocol_version: '1.5' }, /IPMI 1.5 has no cipher suites/],
  [{ ipmi_hex_kg_key: 'abc' }, /odd number of digits/],
  [{ ipmi_hex_kg_key: 'zz' }, /not in hex/],
  [{ ipmi_hex_kg_key: 'a'.repeat(42) }, /42 digits, expected at most 40/],
  [{ ipmi_bridging: 'triple' }, /ipmi_bridging is "triple", expected one of no, single, dual/],
  [{ ipmi_bridging: 'single' }, /ipmi_target_channel, ipmi_target_address is missing/],
  [
    { ipmi_bridging: 'dual', ipmi_target_channel: 0 },
    /ipmi_target_address, ipmi_transit_channel, ipmi_transit_address/,
  ],
  [{ ipmi_force_boot_device: 'perhaps' }, /ipmi_force_boot_device is "perhaps", expected true or false/],
  [{ ipmi_username: 'seventeen-letters' }, /ipmi_username has 17 bytes, expected at most 16/],
]
test('driver_info is checked, all of it at once, and secrets are not shown', async () => {
  for (const [info, words] of badInfo) {
    await using ctx = await ipmiContext(info)
    await assert.rejects(power.validate(ctx), words)
  }
  await using both = await ipmiContext({ ipmi_password: 'a-password-of-22-bytes', ipmi_port: -1 })
  await assert.rejects(management.validate(both), (error: Error) => {
    assert.ok(error instanceof InvalidInput)
    assert.match(error.message, /ipmi_port is "-1".*ipmi_password has 22 bytes, expected at most 20/)
    assert.equal(error.message.includes('a-password'), false)
    return true
  })
  await using good = await ipmiContext({
    ipmi_address: 'bmc-1.rack.example.org',
    ipmi_port: '0x26f',
    ipmi_cipher_suite: '17',
    ipmi_bridging: 'dual',
    ipmi_target_channel: 7,
    ipmi_target_address: '0x72',
    ipmi_transit_channel: '0',
    ipmi_transit_address: '0x82',
    ipmi_local_address: '0x20',
    ipmi_terminal_port: 10000,
    ipmi_force_boot_device: 'False',
  })
  await power.validate(good)
  await using numbers = await ipmiContext({ ipmi_password: 12345, ipmi_protocol_version: 2 })
  await power.validate(numbers)
})
