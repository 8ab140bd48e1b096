/**
 * Both ends against software that nobody here wrote: our driver against OpenIPMI's simulator of a BMC, and the program
 * ipmitool against the simulated BMC of the lab.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { IpmiBmc } from '#lab/ipmi/bmc.ts'
import { openIpmiPort } from '#lab/ipmi/server.ts'
import { FakeHardware } from '#lab/redfish/fake-hardware.ts'
import { authTypes } from '#protocol/ipmi/packet.ts'
import { clientOf } from './clients.ts'
import { IpmiAccessDenied, IpmiRefused, IpmiSilent } from './faults.ts'
import { behind, noIpmiSim, noIpmitool, simUser, startIpmiSim } from './ipmi-sim.ts'
import { change, ipmiContext } from './ipmi-world.ts'
import management from './management.ts'
import power from './power.ts'
import { openSol } from './sol.ts'
import { sendRaw } from './vendor.ts'

test('our driver against ipmi_sim', { skip: noIpmiSim }, async t => {
  await using sim = await startIpmiSim()
  const own = { ipmi_port: sim.port, ipmi_password: simUser.password }
  await using ctx = await ipmiContext(own)

  await t.test('power: off, on, reset, soft off', async () => {
    assert.equal(await power.get(ctx), 'power off')
    await power.set(ctx, 'power on')
    assert.equal(await power.get(ctx), 'power on')
    await power.set(ctx, 'reset')
    await power.set(ctx, 'soft power off')
    assert.equal(await power.get(ctx), 'power off')
    assert.deepEqual(await sim.told(), ['power 1', 'reset 1', 'shutdown 1'])
  })

  await t.test('boot device', async () => {
    await management.setBootDevice(ctx, 'pxe', { persistent: true })
    assert.deepEqual((await sim.told()).at(-1), 'boot pxe')
    await management.setBootDevice(ctx, 'cdrom', { persistent: false })
    assert.deepEqual((await sim.told()).at(-1), 'boot cdrom')
  })

  await t.test('sensors through their records: 20 + raw × 0.5', async () => {
    assert.deepEqual(await management.getSensors?.(ctx), {
      System: { chassis: { health: 'OK' } },
      Temperature: { DJT: { health: 'OK', about: 'processor', reading: 68, unit: 'celsius' } },
    })
  })

  await t.test('the serial port, both ways', async () => {
    let shown = ''
    const events = {
      data(characters: Buffer) {
        shown += characters.toString('latin1')
      },
      end: (why: string) => assert.fail(why),
    }
    const line = await openSol(clientOf(ctx), events, { signal: ctx.signal })
    const serial = await sim.serial()
    let typed = ''
    serial.on('data', (characters: Buffer) => {
      typed += characters.toString('latin1')
    })
    const told = `${'0123456789'.repeat(60)}\r\nlogin: `
    serial.write(told)
    line.write(Buffer.from('y'.repeat(700)))
    await eventually(() => shown === told && typed.endsWith('y'.repeat(700)))
    await line.close()
    assert.equal(await power.get(ctx), 'power off', 'the session for questions is another one')
  })

  await t.test('the cipher suites that it has, and IPMI 1.5', async () => {
    for (const suite of [0, 1, 2, 3, 6]) {
      await using each = await ipmiContext({ ...own, ipmi_cipher_suite: suite })
      assert.equal(await power.get(each), 'power off', `suite ${suite}`)
    }
    change(ctx, { ipmi_protocol_version: '1.5' })
    await power.set(ctx, 'power on')
    assert.equal(await power.get(ctx), 'power on')
  })

  await t.test('a controller behind it', async () => {
    change(ctx, {
      ipmi_protocol_version: '2.0',
      ipmi_bridging: 'single',
      ipmi_target_channel: behind.channel,
      ipmi_target_address: behind.address,
    })
    const [device, , major, minor] = await sendRaw(ctx, '0x06 0x01')
    assert.deepEqual([device, major, minor], [1, 3, 4])
    change(ctx, { ipmi_target_address: '0x42' })
    await assert.rejects(sendRaw(ctx, '0x06 0x01'), IpmiRefused)
  })

  await t.test('a wrong password, user, key, and a suite that it has not', async () => {
    change(ctx, { ipmi_bridging: 'no', ipmi_password: 'wrong' })
    await assert.rejects(power.get(ctx), IpmiAccessDenied)
    change(ctx, { ipmi_username: 'nobody' })
    await assert.rejects(power.get(ctx), IpmiAccessDenied)
    change(ctx, { ipmi_username: simUser.name, ipmi_password: simUser.password, ipmi_hex_kg_key: '0102' })
    await assert.rejects(power.get(ctx), /Kg/)
    await using other = await ipmiContext({ ...own, ipmi_cipher_suite: 17 }, { command_retry_timeout: 1 })
    await assert.rejects(power.get(other), (error: Error) => {
      assert.ok(error instanceof IpmiSilent)
      assert.match(error.message, /does not answer the request for a session \(cipher suite 17\).*ipmi_cipher_suite/)
      return true
    })
  })
})

test('the program ipmitool against our BMC', { skip: noIpmitool }, async t => {
  const hardware = new FakeHardware()
  hardware.measured = {
    hasSubsystems: true,
    temperatures: [{ name: 'Inlet', context: 'Intake', celsius: -3 }],
    fans: [{ name: 'Fan 1', rpm: 4200, health: 'OK' }],
    supplies: [{ name: 'PSU1', watts: 180, capacityWatts: 800, health: 'Critical' }],
  }
  const users = [
    { name: 'admin', password: 'twenty-bytes-secret!', privilege: 'ADMINISTRATOR' },
    { name: 'op', password: 'operator', privilege: 'OPERATOR' },
  ] as const
  const suites = [0, 1, 2, 3, 6, 7, 8, 15, 16, 17]
  const bmc = new IpmiBmc({ hardware, users, suites, authTypes: [authTypes.md5, authTypes.password], maxSessions: 64 })
  await using port = await openIpmiPort(bmc)
  const tool = (...args: string[]) => ipmitool(['-H', '127.0.0.1', '-p', String(port.port), ...args])
  const asAdmin = ['-I', 'lanplus', '-U', 'admin', '-P', 'twenty-bytes-secret!']

  await t.test('all cipher suites', async () => {
    const said = await Promise.all(suites.map(id => tool(...asAdmin, '-C', String(id), 'power', 'status')))
    assert.deepEqual(
      said.map(({ out }) => out),
      suites.map(() => 'Chassis Power is off\n'),
    )
  })

  await t.test('power, boot device, sensors', async () => {
    assert.match((await tool(...asAdmin, 'power', 'on')).out, /Up\/On/)
    assert.match((await tool(...asAdmin, 'chassis', 'status')).out, /System Power +: on[\s\S]*Main Power Fault +: true/)
    await tool(...asAdmin, 'chassis', 'bootdev', 'pxe', 'options=persistent,efiboot')
    assert.deepEqual(hardware.boot(), { enabled: 'Continuous', target: 'Pxe' })
    const flags = (await tool(...asAdmin, 'chassis', 'bootparam', 'get', '5')).out
    assert.match(flags, /Boot Flag Valid[\s\S]*all future boots[\s\S]*EFI[\s\S]*Force PXE/)
    const sensors = (await tool(...asAdmin, 'sdr', 'list')).out
    assert.match(sensors, /Inlet +\| -3 degrees C +\| ok/)
    assert.match(sensors, /Fan 1 +\| 4200 RPM +\| ok/)
    assert.match(sensors, /PSU1 Output +\| 180 Watts +\| ok/)
    assert.equal((await tool(...asAdmin, 'power', 'reset')).code, 0)
    assert.deepEqual(hardware.resets, ['On', 'ForceRestart'])
  })

  await t.test('serial over LAN', async () => {
    // It wants a terminal.
    const command = `ipmitool -H 127.0.0.1 -p ${port.port} ${asAdmin.join(' ')} sol activate`
    const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] })
    let shown = ''
    child.stdout.on('data', (chunk: Buffer) => {
      shown += chunk
    })
    await eventually(() => shown.includes('SOL Session operational'))
    hardware.serial.write('login: ')
    await eventually(() => shown.includes('login: '))
    child.stdin.write('root\r')
    await eventually(() => hardware.serial.typed.includes('root\r'))
    child.stdin.write('~.')
    const [code] = await once(child, 'exit')
    assert.equal(code, 0, shown)
  })

  await t.test('IPMI 1.5, a user that may less, and a wrong password', async () => {
    const asOperator = ['-I', 'lan', '-U', 'op', '-P', 'operator', '-L', 'OPERATOR']
    assert.equal((await tool(...asOperator, '-A', 'MD5', 'power', 'status')).out, 'Chassis Power is on\n')
    assert.equal((await tool(...asOperator, '-A', 'PASSWORD', 'power', 'status')).out, 'Chassis Power is on\n')
    const asked = await tool(
      '-I',
      'lanplus',
      '-C',
      '17',
      '-U',
      'op',
      '-P',
      'operator',
      '-L',
      'OPERATOR',
      'mc',
      'reset',
      'warm',
    )
    assert.match(asked.said, /Insufficient privilege level/)
    assert.equal(
      (await tool('-I', 'lanplus', '-C', '17', '-U', 'admin', '-P', 'wrong', '-R', '1', '-N', '1', 'power', 'status'))
        .code,
      1,
    )
  })
})

async function eventually(holds: () => boolean): Promise<void> {
  for (const endMs = Date.now() + 60_000; !holds(); await sleep(10)) assert.ok(Date.now() < endMs, `never: ${holds}`)
}

function ipmitool(args: string[]): Promise<{ code: number | null; out: string; said: string }> {
  const child = spawn('ipmitool', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk
  })
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, out, said }))
  })
}
