/** Sessions with a simulated BMC over real UDP: how they are opened, what is said when they are not, and lost packets. */
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { startFakeBmc } from '#lab/ipmi/fake-bmc.ts'
import type { BmcOptions } from '#lab/ipmi/options.ts'
import type { PortOptions } from '#lab/ipmi/server.ts'
import { authTypes, decodePacket, payloadTypes } from '#protocol/ipmi/packet.ts'
import { mayPass } from '../patience.ts'
import type { TestContext } from '../test-context.ts'
import { chassisStatus, controlChassis } from './chassis.ts'
import { IpmiClient } from './client.ts'
import { bmcSettings } from './driver-info.ts'
import { IpmiAccessDenied, IpmiNoSession, IpmiRefused, IpmiSilent } from './faults.ts'
import { change, user, worldOf } from './ipmi-world.ts'
import management from './management.ts'
import power from './power.ts'
import { Hub } from './rmcp/hub.ts'

/** What a test may bend. */
interface Given {
  bmc?: Partial<BmcOptions>
  port?: PortOptions
  info?: Record<string, unknown>
  ipmi?: Record<string, unknown>
}

const ipmiWorld = async (given: Given = {}) =>
  worldOf(await startFakeBmc({ users: [user], ...given.bmc }, given.port), given)

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

const noIpv6 = !Object.values(networkInterfaces()).some(all => all?.some(({ family }) => family === 'IPv6'))

test('IPv6, however it is written', { skip: noIpv6 && 'this machine has no IPv6' }, async () => {
  for (const ipmi_address of ['::1', '[::1]', '0:0:0:0:0:0:0:1']) {
    await using w = await ipmiWorld({ port: { address: '::1' }, info: { ipmi_address } })
    assert.equal(await power.get(w.ctx), 'power off', ipmi_address)
  }
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
