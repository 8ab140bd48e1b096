/** The driver against a simulated BMC over real UDP: what it asks for power, boot device, sensors and raw commands. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startFakeBmc } from '#lab/ipmi/fake-bmc.ts'
import type { BmcOptions } from '#lab/ipmi/options.ts'
import { InvalidInput } from '#lib/fault.ts'
import { commands, completion, netFns } from '#protocol/ipmi/commands.ts'
import { Unsupported } from '../driver.ts'
import { mayPass } from '../patience.ts'
import { IpmiRefused } from './faults.ts'
import { change, user, worldOf } from './ipmi-world.ts'
import management from './management.ts'
import power from './power.ts'
import vendor, { sendRaw } from './vendor.ts'

/** What a test may bend. */
interface Given {
  bmc?: Partial<BmcOptions>
  info?: Record<string, unknown>
  ipmi?: Record<string, unknown>
}

const ipmiWorld = async (given: Given = {}) => worldOf(await startFakeBmc({ users: [user], ...given.bmc }), given)

const status = '00/01'
const raise = '06/3b'
const farewell = '06/3c'

test('power is read with one question, in a session that is kept and needs no privilege for it', async () => {
  await using w = await ipmiWorld()
  assert.equal(await power.get(w.ctx), 'power off')
  w.hardware.reset('On')
  assert.equal(await power.get(w.ctx), 'power on')
  assert.equal(await management.getHealth(w.ctx), 'OK', 'from the same answer')
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

test('a controller behind the BMC', async () => {
  const behind = new Map([[0x30, () => [0, 0x01, 0x02]]])
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

test('vendor methods: raw bytes, and a restart of the BMC', async () => {
  await using w = await ipmiWorld()
  const { send_raw, bmc_reset } = vendor.methods ?? {}
  assert.ok(send_raw && bmc_reset)
  await send_raw.run(w.ctx, { raw_bytes: '0x06 0x01' })
  await bmc_reset.run(w.ctx, {})
  await bmc_reset.run(w.ctx, { warm: 'false' })
  assert.deepEqual(
    w.bmc.commands.filter(each => each !== '06/3b'),
    ['06/01', '06/03', '06/02'],
  )
  await assert.rejects(bmc_reset.run(w.ctx, { warm: 'tepid' }), InvalidInput)
  await assert.rejects(send_raw.run(w.ctx, {}), InvalidInput)
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
