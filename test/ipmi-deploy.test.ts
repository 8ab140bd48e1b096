/** Machines that are driven over IPMI alone, by the real service: real UDP to their BMCs, real HTTP to their agents. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IpmiBmc } from '#lab/ipmi/bmc.ts'
import { openIpmiPort } from '#lab/ipmi/server.ts'
import type { SimMachine } from '../src/sim/machine.ts'
import { brisk } from '../src/sim/settings.ts'
import { openSite } from './simulated-site.ts'

const user = { name: 'admin', password: 'of a simulated BMC', privilege: 'ADMINISTRATOR' } as const

test('two machines get an instance and are taken back, over IPMI', async () => {
  await using operator = await openSite({ nodes: 2, settings: brisk })
  const { site, machines } = operator
  const { api } = site.service
  await using ports = new AsyncDisposableStack()
  const bmcs = new Map<SimMachine, IpmiBmc>()
  for (const machine of machines) {
    const bmc = new IpmiBmc({ hardware: machine.hardware, users: [user] })
    const { port } = ports.use(await openIpmiPort(bmc, { delayMs: 2 }))
    bmcs.set(machine, bmc)
    const { deploy_kernel, deploy_ramdisk } = site.driverInfo(machine)
    const ipmi = { ipmi_address: '127.0.0.1', ipmi_port: port, ipmi_username: user.name, ipmi_password: user.password }
    const node = await api.create('/v1/nodes', {
      name: machine.name,
      driver: 'ipmi',
      driver_info: { ...ipmi, deploy_kernel, deploy_ramdisk },
      // The simulated firmware; IPMI can neither tell nor set it.
      properties: { capabilities: 'boot_mode:uefi' },
    })
    await api.create('/v1/ports', { node_uuid: node.uuid, address: machine.macs[0] })
  }

  await operator.bring('manage', 'manageable')
  await operator.bring('provide', 'available')
  for (const machine of machines) await operator.chooseImage(machine)
  await operator.bring('active', 'active')
  for (const machine of machines) {
    await operator.instanceRuns(machine)
    const node = await operator.node(machine)
    assert.deepEqual([node.power_state, node.last_error], ['power on', null])
    assert.deepEqual([node.power_interface, node.management_interface], ['ipmitool', 'ipmitool'])
    assert.equal(machine.disk?.digest, `sha256:${site.image.sha256}`)
    assert.deepEqual(machine.hardware.boot(), { enabled: 'Continuous', target: 'Hdd' })
    assert.equal(JSON.stringify(node).includes(user.password), false)
  }

  const [machine = assert.fail()] = machines
  const passthru = `/v1/nodes/${machine.name}/vendor_passthru`
  assert.deepEqual(Object.keys(await api.get(`${passthru}/methods`)).sort(), ['bmc_reset', 'send_raw'])
  await api.call('POST', `${passthru}/bmc_reset`, {}, { warm: true })
  assert.equal(bmcs.get(machine)?.commands.at(-1), '06/03')
  await assert.rejects(
    api.call('POST', `${passthru}/send_raw`, {}, { raw_bytes: 'all' }),
    /Cannot send raw_bytes "all"/,
  )

  await operator.bring('deleted', 'available')
  for (const each of machines) assert.deepEqual([each.running, each.disk], ['off', null])
  for (const bmc of bmcs.values()) assert.ok(bmc.sessions.opened <= 4, `${bmc.sessions.opened} sessions were opened`)
})
