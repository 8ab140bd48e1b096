/** The driver against an agent that nobody here wrote: net-snmp's snmpd, in all versions of the protocol. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testContext } from '../test-context.ts'
import { PduAccessDenied, PduRefused, PduSilent } from './client.ts'
import power from './power.ts'
import { noSnmpd, passwords, startSnmpd, users } from './snmpd.ts'

const enterprises = '1.3.6.1.4.1'
const masterSwitch = `${enterprises}.318.1.1.4.4.2.1.3.5`

test('our driver against snmpd', { skip: noSnmpd }, async t => {
  await using snmpd = await startSnmpd()
  const context = (info: Record<string, unknown>, snmp: Record<string, unknown> = {}) =>
    testContext({
      node: {
        driver_info: {
          snmp_driver: 'auto',
          snmp_address: '127.0.0.1',
          snmp_port: snmpd.port,
          snmp_outlet: 5,
          ...info,
        },
      },
      config: { snmp },
    })

  for (const snmp_version of ['1', '2c']) {
    await t.test(`version ${snmp_version}: what it is, its state, off and on`, async () => {
      const ctx = await context({ snmp_version, snmp_community_read: 'public', snmp_community_write: 'private' })
      await snmpd.set(masterSwitch, 1)
      assert.equal(await power.get(ctx), 'power on')
      await power.set(ctx, 'power off')
      assert.equal(await snmpd.get(masterSwitch), 2)
      assert.equal(await power.get(ctx), 'power off')
      await power.set(ctx, 'reset')
      assert.equal(await snmpd.get(masterSwitch), 1)
    })
  }

  for (const [snmp_user, auth, priv] of users) {
    await t.test(`version 3: user ${snmp_user} with ${auth} and ${priv}`, async () => {
      const ctx = await context({
        snmp_version: '3',
        snmp_user,
        snmp_auth_protocol: auth,
        snmp_priv_protocol: priv,
        ...(auth === 'none' ? {} : { snmp_auth_key: passwords.auth }),
        ...(priv === 'none' ? {} : { snmp_priv_key: passwords.priv }),
      })
      await snmpd.set(masterSwitch, 1)
      await power.set(ctx, 'power off')
      assert.equal(await power.get(ctx), 'power off')
      assert.equal(await snmpd.get(masterSwitch), 2)
    })
  }

  await t.test('objects of their own for off and on, and a table with an index behind the outlet', async () => {
    const community = { snmp_community: 'private' }
    const eaton = await context({ snmp_driver: 'eatonpower', ...community })
    const under = `${enterprises}.534.6.6.7.6.6.1`
    await snmpd.set(`${under}.2.5`, 0)
    for (const object of ['3', '4']) await snmpd.set(`${under}.${object}.5`, -1)
    await power.set(eaton, 'power on')
    assert.equal(await snmpd.get(`${under}.4.5`), 0)
    const aten = await context({ snmp_driver: 'aten', snmp_version: '2c', ...community })
    await snmpd.set(`${enterprises}.21317.1.3.2.2.2.2.5.0`, 2)
    await power.set(aten, 'power off')
    assert.equal(await snmpd.get(`${enterprises}.21317.1.3.2.2.2.2.5.0`), 1)
  })

  await t.test('no such outlet, read only, unknown community and user, wrong password', async () => {
    const quick = { udp_transport_timeout: 0.2, udp_transport_retries: 1 }
    const kind = { snmp_driver: 'apc' }
    await snmpd.set(masterSwitch, 1)
    for (const snmp_version of ['1', '2c']) {
      const absent = await context({ ...kind, snmp_version, snmp_community: 'private', snmp_outlet: 99 })
      await assert.rejects(power.get(absent), PduRefused)
      const reader = await context({ ...kind, snmp_version, snmp_community: 'public' }, quick)
      await assert.rejects(power.set(reader, 'power off'), PduRefused)
      const nobody = await context({ ...kind, snmp_version, snmp_community: 'nobody' }, quick)
      await assert.rejects(power.get(nobody), PduSilent)
    }
    const proof = { ...kind, snmp_version: '3', snmp_auth_protocol: 'sha', snmp_auth_key: passwords.auth }
    for (const wrong of [{ snmp_user: 'nobody' }, { snmp_user: 'sha', snmp_auth_key: 'another-password' }]) {
      const ctx = await context({ ...proof, ...wrong }, quick)
      await assert.rejects(power.get(ctx), (error: Error) => {
        assert.ok(error instanceof PduAccessDenied, `${error.name}: ${error.message}`)
        assert.match(error.message, /check snmp_user, snmp_auth_protocol/)
        assert.equal(error.message.includes('another-password'), false)
        return true
      })
    }
  })
})
