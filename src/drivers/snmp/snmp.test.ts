/** The driver against a PDU of our own over real UDP. Version 3, and agents of others: interop.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInput } from '#lib/fault.ts'
import { mayPass } from '../patience.ts'
import { testContext } from '../test-context.ts'
import { PduRefused, PduSilent } from './client.ts'
import { pduSettings } from './driver-info.ts'
import { startFakePdu } from './fake-pdu.ts'
import { pdus, recognised } from './pdus.ts'
import power from './power.ts'

const sysObjectId = '1.3.6.1.2.1.1.2.0'

async function world(info: Record<string, unknown> = {}, snmp: Record<string, unknown> = {}) {
  const pdu = await startFakePdu()
  const driver_info = {
    snmp_driver: 'apc_rackpdu',
    snmp_address: '127.0.0.1',
    snmp_port: pdu.port,
    snmp_outlet: 3,
    snmp_community_read: 'public',
    snmp_community_write: 'private',
    ...info,
  }
  const ctx = await testContext({ node: { driver_info }, config: { snmp } })
  return {
    ctx,
    pdu,
    async [Symbol.asyncDispose]() {
      await ctx[Symbol.asyncDispose]()
      await pdu[Symbol.asyncDispose]()
    },
  }
}

/** What the MIBs say, once more and in another form: model, object of outlet 3, on and off as read, objects and values as written. */
const facts: Record<string, [state: string, on: number, off: number, switchOn: string, switchOff: string]> = {
  apc: ['318.1.1.4.4.2.1.3.3', 1, 2, '318.1.1.4.4.2.1.3.3=1', '318.1.1.4.4.2.1.3.3=2'],
  apc_masterswitch: ['318.1.1.4.4.2.1.3.3', 1, 2, '318.1.1.4.4.2.1.3.3=1', '318.1.1.4.4.2.1.3.3=2'],
  apc_masterswitchplus: ['318.1.1.6.5.1.1.5.3', 1, 3, '318.1.1.6.5.1.1.5.3=1', '318.1.1.6.5.1.1.5.3=3'],
  apc_rackpdu: ['318.1.1.12.3.3.1.1.4.3', 1, 2, '318.1.1.12.3.3.1.1.4.3=1', '318.1.1.12.3.3.1.1.4.3=2'],
  aten: ['21317.1.3.2.2.2.2.3.0', 2, 1, '21317.1.3.2.2.2.2.3.0=2', '21317.1.3.2.2.2.2.3.0=1'],
  baytech_mrp27: ['4779.1.3.5.3.1.3.1.3', 1, 0, '4779.1.3.5.3.1.3.1.3=1', '4779.1.3.5.3.1.3.1.3=0'],
  cyberpower: ['3808.1.1.3.3.3.1.1.4.3', 1, 2, '3808.1.1.3.3.3.1.1.4.3=1', '3808.1.1.3.3.3.1.1.4.3=2'],
  eatonpower: ['534.6.6.7.6.6.1.2.3', 1, 0, '534.6.6.7.6.6.1.4.3=0', '534.6.6.7.6.6.1.3.3=0'],
  raritan_pdu2: ['13742.6.4.1.2.1.3.1.3', 7, 8, '13742.6.4.1.2.1.2.1.3=1', '13742.6.4.1.2.1.2.1.3=0'],
  servertech_sentry3: ['1718.3.2.3.1.5.1.1.3', 1, 0, '1718.3.2.3.1.11.1.1.3=1', '1718.3.2.3.1.11.1.1.3=2'],
  servertech_sentry4: ['1718.4.1.8.5.1.1.1.1.3', 11, 10, '1718.4.1.8.5.1.2.1.1.3=1', '1718.4.1.8.5.1.2.1.1.3=2'],
  teltronix: ['23620.1.2.2.1.4.3', 2, 1, '23620.1.2.2.1.4.3=2', '23620.1.2.2.1.4.3=1'],
  vertivgeist_pdu: ['21239.5.2.3.5.1.4.3', 1, 2, '21239.5.2.3.5.1.6.3=2', '21239.5.2.3.5.1.6.3=4'],
}

test('every kind of PDU: state, off, on, and nothing where it is there already', async t => {
  assert.deepEqual(Object.keys(facts), Object.keys(pdus))
  await using w = await world()
  for (const [snmp_driver, [state, on, off, switchOn, switchOff]] of Object.entries(facts)) {
    await t.test(snmp_driver, async () => {
      w.ctx.node = { ...w.ctx.node, driver_info: { ...w.ctx.node.driver_info, snmp_driver } }
      const under = (object: string) => `1.3.6.1.4.1.${object}`
      const [onObject = '', offObject = ''] = [switchOn, switchOff].map(text => under(text.split('=')[0] ?? ''))
      for (const object of [onObject, offObject]) w.pdu.values.set(object, -1)
      w.pdu.onWrite = object =>
        void w.pdu.values.set(under(state), object === onObject && turnsOn(w.pdu.written) ? on : off)
      const turnsOn = (written: readonly string[]) => written.at(-1) === under(switchOn)
      w.pdu.written.length = 0
      w.pdu.values.set(under(state), on)
      assert.equal(await power.get(w.ctx), 'power on')
      await power.set(w.ctx, 'power on')
      assert.deepEqual(w.pdu.written, [])
      await power.set(w.ctx, 'power off')
      assert.equal(await power.get(w.ctx), 'power off')
      await power.set(w.ctx, 'power on')
      assert.deepEqual(w.pdu.written, [under(switchOff), under(switchOn)])
      assert.equal(await power.get(w.ctx), 'power on')
    })
  }
})

test('auto: the PDU is asked once what it is, and again when another one stands there', async () => {
  await using w = await world({ snmp_driver: 'auto', snmp_version: '2c' })
  const [rack, aten] = ['1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.3', '1.3.6.1.4.1.21317.1.3.2.2.2.2.3.0']
  w.pdu.values.set(sysObjectId, '1.3.6.1.4.1.318.1.1.12.7').set(rack, 1)
  assert.equal(await power.get(w.ctx), 'power on')
  assert.equal(await power.get(w.ctx), 'power on')
  assert.deepEqual(w.pdu.reads, [sysObjectId, rack, rack])
  w.pdu.values.clear()
  w.pdu.values.set(sysObjectId, '1.3.6.1.4.1.21317.1.3').set(aten, 1)
  assert.equal(await power.get(w.ctx), 'power off')
  w.pdu.values.clear()
  w.pdu.values.set(sysObjectId, '1.3.6.1.4.1.3181.1')
  await assert.rejects(
    power.get(w.ctx),
    /says that it is "1\.3\.6\.1\.4\.1\.3181\.1"; expected one of apc, .*snmp_driver/,
  )
})

test('a PDU is recognised by the longest beginning of what it says', () => {
  assert.equal(recognised('1.3.6.1.4.1.318.1.1.4.9.1'), pdus.apc)
  assert.equal(recognised('1.3.6.1.4.1.318.1.1.12'), pdus.apc_rackpdu)
  assert.equal(recognised('1.3.6.1.4.1.318.1.1.120'), undefined)
  assert.equal(recognised('1.3.6.1.4.1.534.10'), pdus.eatonpower)
})

test('a reset goes off, waits, and on; pauses are kept, and a PDU that does nothing is told of', async () => {
  await using w = await world({}, { power_action_delay: 2, reboot_delay: 7 })
  const outlet = '1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.3'
  w.pdu.values.set(outlet, 1)
  await power.set(w.ctx, 'reset')
  assert.deepEqual(w.pdu.written, [`${outlet}=2`, `${outlet}=1`])
  assert.deepEqual(w.ctx.pauses, [2000, 5000], 'after off, and the rest of what it has to be off')
  w.pdu.onWrite = () => {}
  await assert.rejects(
    power.set(w.ctx, 'reset'),
    /^OutletUnchanged: Outlet 3 of the PDU at 127\.0\.0\.1:\d+ did not reach "power off" within 10 s/,
  )
  w.pdu.values.set(outlet, 9)
  assert.equal(await power.get(w.ctx), null, 'a word that is neither')
})

test('what is wrong is said', async () => {
  const quick = { udp_transport_timeout: 0.05, udp_transport_retries: 1 }
  for (const snmp_version of ['1', '2c']) {
    await using w = await world({ snmp_version }, quick)
    await assert.rejects(power.get(w.ctx), (error: Error) => {
      assert.ok(error instanceof PduRefused && !mayPass(error))
      assert.match(
        error.message,
        /refused the question for the state of outlet 3: .*; check snmp_driver and snmp_outlet/,
      )
      return true
    })
  }
  await using w = await world({ snmp_community_read: 'secret-of-another' }, quick)
  await assert.rejects(power.get(w.ctx), (error: Error) => {
    assert.ok(error instanceof PduSilent && mayPass(error))
    assert.match(error.message, /did not answer .* sent 2 times, 0\.05 s each: .*a community that it does not know/)
    assert.equal(error.message.includes('secret-of-another'), false)
    return true
  })
  w.ctx.node = { ...w.ctx.node, driver_info: { ...w.ctx.node.driver_info, snmp_address: 'no-such-host.invalid' } }
  await assert.rejects(power.get(w.ctx), /Cannot reach the PDU at no-such-host\.invalid:\d+: .*check snmp_address/)
})

const good = { snmp_driver: 'auto', snmp_address: '192.0.2.9', snmp_outlet: 1, snmp_community: 'c' }
const v3 = { snmp_driver: 'auto', snmp_address: '192.0.2.9', snmp_outlet: '4', snmp_version: 3 }

test('settings: what they become', async () => {
  const of = async (driver_info: Record<string, unknown>) => pduSettings(await testContext({ node: { driver_info } }))
  assert.deepEqual(await of(good), {
    host: '192.0.2.9',
    port: 161,
    kind: null,
    outlet: 1,
    access: { version: '1', readCommunity: 'c', writeCommunity: 'c' },
    answerMs: 1000,
    retries: 5,
  })
  const { access, outlet } = await of({
    ...v3,
    snmp_security: 'old',
    snmp_auth_key: 'k'.repeat(8),
    snmp_priv_key: 'p'.repeat(8),
    snmp_priv_protocol: 'aes',
  })
  assert.equal(outlet, 4)
  assert.ok(access.version === '3')
  assert.deepEqual(
    [access.user.name, access.user.authProtocol, access.user.privProtocol, access.user.context],
    ['old', 'md5', 'aes', ''],
  )
})

const bad: [Record<string, unknown>, RegExp][] = [
  [{}, /snmp_driver is missing.*snmp_address is missing.*snmp_outlet is missing.*no community for reading/s],
  [{ ...good, snmp_driver: 'apx' }, /snmp_driver is "apx", expected one of apc, .*auto/],
  [{ ...good, snmp_outlet: 'one' }, /snmp_outlet is "one", expected a number from 1/],
  [{ ...good, snmp_outlet: 0 }, /snmp_outlet is "0"/],
  [{ ...good, snmp_version: '4' }, /snmp_version is "4", expected one of 1, 2c, 3/],
  [{ ...good, snmp_port: 70000 }, /snmp_port is "70000", expected a number from 1 to 65535/],
  [{ ...good, snmp_community: undefined, snmp_community_read: 'r' }, /no community for writing with version 1/],
  [v3, /snmp_user is missing/],
  [{ ...v3, snmp_user: 'u', snmp_auth_key: 'short' }, /snmp_auth_key has 5 characters, expected at least 8/],
  [{ ...v3, snmp_user: 'u', snmp_auth_protocol: 'sha' }, /snmp_auth_key is missing, which sha needs/],
  [{ ...v3, snmp_user: 'u', snmp_auth_protocol: 'sha1' }, /snmp_auth_protocol is "sha1", expected one of none, md5/],
  [
    { ...v3, snmp_user: 'u', snmp_priv_key: 'k'.repeat(8), snmp_priv_protocol: 'aes' },
    /snmp_auth_protocol is missing: version 3 encrypts \(aes\) only/,
  ],
  [{ ...v3, snmp_user: 'u', snmp_priv_key: 'k'.repeat(8) }, /snmp_priv_protocol is missing, expected one of none, aes/],
  [{ ...v3, snmp_user: 'u', snmp_auth_key: 'k'.repeat(8), snmp_priv_protocol: 'aes' }, /snmp_priv_key is missing/],
  [{ ...v3, snmp_user: 'u', snmp_priv_protocol: 'des' }, /snmp_priv_protocol is "des", which Ferrite does not have/],
  [{ ...v3, snmp_user: 'u', snmp_context_engine_id: 'xyz' }, /snmp_context_engine_id is "xyz", expected 5 to 32 bytes/],
]
test('settings: what is wrong with them, all at once, and no secret in it', async () => {
  for (const [driver_info, words] of bad) {
    const ctx = await testContext({ node: { driver_info } })
    await assert.rejects(power.validate(ctx), (error: Error) => {
      assert.ok(error instanceof InvalidInput)
      assert.match(error.message, words)
      assert.doesNotMatch(error.message, /kkkkkkkk|short/)
      return true
    })
  }
})
