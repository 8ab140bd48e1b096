import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { addNode } from '#conductor/test-engine.ts'
import { portgroupTable } from '#db/portgroups.ts'
import { freshDatabase } from '#db/test-database.ts'
import { timestamp } from '#protocol/field.ts'
import type { FlowContext } from '../driver.ts'
import { testContext } from '../test-context.ts'
import { NeutronRefused } from './client.ts'
import { startFakeNeutron } from './fake-neutron.ts'
import flat from './flat-network.ts'
import network from './network.ts'

const link = { switch_id: '0a:1b:2c:3d:4e:5f', port_id: 'Eth1/1' }
const [first, second, third] = ['52:54:00:00:00:01', '52:54:00:00:00:02', '52:54:00:00:00:03'] as const
const port = (address: string, more: object = {}) => ({
  address,
  local_link_connection: {},
  extra: {},
  physical_network: null,
  portgroup_uuid: null,
  internal_info: {},
  ...more,
})

async function world(given: { info?: object; neutron?: object; ports?: object[] } = {}) {
  const neutron = await startFakeNeutron()
  const db = await freshDatabase()
  neutron.networks.push({ id: randomUUID(), name: 'provisioning' }, { id: randomUUID(), name: 'cleaning' })
  const ctx = await testContext({
    node: { driver_info: { ...given.info } },
    ports: given.ports ?? [port(first, { local_link_connection: link }), port(second, { pxe_enabled: false })],
    config: {
      neutron: {
        auth_type: 'none',
        endpoint_override: neutron.url,
        provisioning_network: 'provisioning',
        cleaning_network: 'cleaning',
        ...given.neutron,
      },
    },
  })
  const flowCtx = { ...ctx, db } as unknown as FlowContext // all that is read
  return {
    neutron,
    ctx: flowCtx,
    in: (name: string) => {
      const id = neutron.networks.find(each => each.name === name)?.id
      return [...neutron.ports.values()].filter(each => each.network_id === id)
    },
    async [Symbol.asyncDispose]() {
      await ctx[Symbol.asyncDispose]()
      await db.destroy()
      await neutron[Symbol.asyncDispose]()
    },
  }
}

test('a ramdisk gets ports of its own in the network of its purpose, and they go with it', async () => {
  await using w = await world({ neutron: { provisioning_network_security_groups: ['sg-1'] } })
  await network.validate(w.ctx)
  await network.attach(w.ctx, 'deploy')
  await network.attach(w.ctx, 'deploy')
  const [made, ...others] = w.in('provisioning')
  assert.deepEqual(others, [], 'one port boots from the network, and twice is once')
  assert.partialDeepStrictEqual(made, {
    mac_address: first,
    device_owner: 'baremetal:none',
    device_id: w.ctx.node.uuid,
    security_groups: ['sg-1'],
    'binding:vnic_type': 'baremetal',
    'binding:host_id': w.ctx.node.uuid,
    'binding:profile': { local_link_information: [link] },
  })
  w.neutron.ports.set('tenant', { id: 'tenant', network_id: 'other', mac_address: first })
  await network.detach(w.ctx, 'deploy')
  await network.detach(w.ctx, 'deploy')
  assert.deepEqual([...w.neutron.ports.keys()], ['tenant'], 'the port of another network stays')
})

test('all ports where that is asked for, and the network that the node names', async () => {
  await using w = await world({ info: { cleaning_network: 'own' }, neutron: { add_all_ports: true } })
  const id = randomUUID()
  w.neutron.networks.push({ id, name: 'own' })
  await network.attach(w.ctx, 'clean')
  assert.deepEqual(
    w.in('own').map(each => each.mac_address),
    [first, second],
  )
  await network.detach(w.ctx, 'clean')
  assert.equal(w.neutron.ports.size, 0)
})

test('the ports of an instance are bound to the switch ports that they are attached to, and freed', async () => {
  const attached = port(third, {
    internal_info: { tenant_vif_port_id: 'vif-1' },
    physical_network: 'physnet1',
    extra: { 'client-id': 'ff:01' },
  })
  await using w = await world({ ports: [port(first), attached] })
  w.neutron.ports.set('vif-1', { id: 'vif-1', network_id: 'tenant', mac_address: 'fa:16:3e:00:00:01' })
  await network.attach(w.ctx, 'tenant')
  assert.partialDeepStrictEqual(w.neutron.ports.get('vif-1'), {
    mac_address: third,
    'binding:host_id': w.ctx.node.uuid,
    'binding:profile': { local_link_information: [], physical_network: 'physnet1' },
    extra_dhcp_opts: [{ opt_name: '61', opt_value: 'ff:01' }],
  })
  await network.detach(w.ctx, 'tenant')
  assert.partialDeepStrictEqual(w.neutron.ports.get('vif-1'), { 'binding:host_id': '', 'binding:profile': {} })
  w.neutron.ports.clear()
  await network.detach(w.ctx, 'tenant')
  await assert.rejects(network.attach(w.ctx, 'tenant'), /Neutron has no port vif-1, which is attached to it/)
})

test('Neutron tells what network a VIF is in, and on which wires', async () => {
  await using w = await world()
  const tenant = { id: randomUUID(), name: 'tenant', tags: ['fast'], 'provider:physical_network': 'blue' }
  const segments = [{ 'provider:physical_network': 'red' }, { 'provider:physical_network': null }]
  const wide = { id: randomUUID(), name: 'wide', segments }
  w.neutron.networks.push(tenant, wide)
  w.neutron.ports.set('vif-1', { id: 'vif-1', network_id: tenant.id, mac_address: first })
  w.neutron.ports.set('vif-2', { id: 'vif-2', network_id: wide.id, mac_address: second })
  const known = { name: 'tenant', tags: ['fast'], physical_networks: ['blue'] }
  assert.deepEqual(await network.networkOfVif(w.ctx, 'vif-1'), known)
  assert.deepEqual(await flat.networkOfVif(w.ctx, 'vif-2'), { name: 'wide', tags: [], physical_networks: ['red'] })
  await assert.rejects(network.networkOfVif(w.ctx, 'vif-3'), /Cannot attach VIF vif-3 .*Neutron has no such port/)
  const alone = await testContext({})
  assert.equal(await flat.networkOfVif(alone, 'vif-1'), null, 'flat without a Neutron')
})

test('a VIF that comes to a running instance is bound at once, and freed when it goes', async () => {
  const attached = port(third, {
    internal_info: { tenant_vif_port_id: 'vif-1' },
    local_link_connection: link,
    physical_network: 'physnet1',
  })
  for (const [state, isRunning] of [
    ['active', true],
    ['available', false],
  ] as const) {
    await using w = await world({ ports: [attached] })
    const ctx = { ...w.ctx, node: { ...w.ctx.node, provision_state: state } }
    w.neutron.ports.set('vif-1', { id: 'vif-1', network_id: 'tenant', mac_address: 'fa:16:3e:00:00:01' })
    for (const each of [network, flat]) {
      await each.vifAttached(ctx, { id: 'vif-1', groups: [] })
      assert.partialDeepStrictEqual(w.neutron.ports.get('vif-1'), {
        mac_address: third,
        'binding:host_id': ctx.node.uuid,
        'binding:profile': isRunning ? { local_link_information: [link], physical_network: 'physnet1' } : {},
      })
      await each.vifDetached(ctx, { id: 'vif-1', groups: [] })
      assert.partialDeepStrictEqual(w.neutron.ports.get('vif-1'), { 'binding:host_id': '', 'binding:profile': {} })
    }
    if (isRunning) {
      w.neutron.vifType = 'binding_failed'
      await assert.rejects(network.vifAttached(ctx, { id: 'vif-1', groups: [] }), /could not bind the port vif-1/)
    }
    w.neutron.ports.clear()
    await assert.rejects(network.vifAttached(ctx, { id: 'vif-1', groups: [] }), /Neutron has no such port/)
    // What a flow is at it frees itself; what is gone is free.
    const cleaning = { ...ctx, node: { ...ctx.node, provision_state: 'cleaning' as const } }
    w.neutron.ports.set('vif-1', { id: 'vif-1', network_id: 'tenant', mac_address: third, 'binding:host_id': 'kept' })
    await network.vifDetached(cleaning, { id: 'vif-1', groups: [] })
    assert.equal(w.neutron.ports.get('vif-1')?.['binding:host_id'], 'kept')
  }
})

test('a card that one VIF has left takes another one of the same network, which has the MAC address then', async () => {
  const card = port(third, { local_link_connection: link })
  await using w = await world({ ports: [card] })
  const at = (vif: string) => ({
    ...w.ctx,
    node: { ...w.ctx.node, provision_state: 'active' as const },
    ports: [{ ...card, internal_info: { tenant_vif_port_id: vif } }] as unknown as FlowContext['ports'], // all that is read
  })
  const macOf = (vif: string) => w.neutron.ports.get(vif)?.mac_address
  for (const id of ['vif-1', 'vif-2']) {
    w.neutron.ports.set(id, { id, network_id: 'tenant', mac_address: `fa:16:3e:00:00:0${id.at(-1)}` })
  }
  await network.vifAttached(at('vif-1'), { id: 'vif-1', groups: [] })
  await assert.rejects(network.vifAttached(at('vif-2'), { id: 'vif-2', groups: [] }), /409: MacAddressInUse/)
  await network.vifDetached(at('vif-1'), { id: 'vif-1', groups: [] })
  assert.match(`${macOf('vif-1')}`, /^fa:16:3e(:[0-9a-f]{2}){3}$/)
  await network.vifAttached(at('vif-2'), { id: 'vif-2', groups: [] })
  assert.equal(macOf('vif-2'), third)
  w.neutron.ports.clear()
  await network.vifDetached(at('vif-2'), { id: 'vif-2', groups: [] })
  assert.equal(w.neutron.ports.size, 0, 'what is gone is free')
})

test('a port group is bound by all its members, as one', async () => {
  const group = randomUUID()
  const member = (address: string, port_id: string) =>
    port(address, { portgroup_uuid: group, local_link_connection: { ...link, port_id } })
  await using w = await world({ ports: [member(first, 'Eth1/1'), member(second, 'Eth1/2')] })
  const node_uuid = await addNode(w.ctx.db, 'available')
  w.ctx = { ...w.ctx, node: { ...w.ctx.node, uuid: node_uuid } }
  await portgroupTable.insert(w.ctx.db, {
    uuid: group,
    node_uuid,
    name: 'bond0',
    address: third,
    mode: '802.3ad',
    properties: { miimon: '100' },
    extra: {},
    internal_info: { tenant_vif_port_id: 'vif-g' },
    standalone_ports_supported: true,
    dynamic_portgroup: false,
    created_at: timestamp(0),
  })
  w.neutron.ports.set('vif-g', { id: 'vif-g', network_id: 'tenant', mac_address: first })
  await network.attach(w.ctx, 'tenant')
  assert.partialDeepStrictEqual(w.neutron.ports.get('vif-g'), {
    mac_address: third,
    'binding:profile': {
      local_link_information: [
        { ...link, port_id: 'Eth1/1' },
        { ...link, port_id: 'Eth1/2' },
      ],
      local_group_information: { id: group, name: 'bond0', bond_mode: '802.3ad', bond_properties: { miimon: '100' } },
    },
  })
})

test('what is wrong is said', async () => {
  await using w = await world()
  await assert.rejects(
    network.attach(w.ctx, 'rescue'),
    /to its rescuing_network: none is named; expected driver_info rescuing_network/,
  )
  await assert.rejects(network.attach(w.ctx, 'tenant'), /no VIF is attached to it/)
  w.neutron.networks.push({ id: randomUUID(), name: 'cleaning' })
  await assert.rejects(
    network.validate(w.ctx),
    /network cleaning of \[neutron\] cleaning_network: Neutron has 2 of that name/,
  )
  w.neutron.vifType = 'binding_failed'
  await assert.rejects(network.attach(w.ctx, 'deploy'), (error: Error) => {
    assert.ok(error instanceof NeutronRefused)
    assert.match(error.message, /could not bind the port .*52:54:00:00:00:01.*check the port's local_link_connection/)
    return true
  })
  w.neutron.broken = { status: 409, message: 'No more IP addresses available' }
  await assert.rejects(network.attach(w.ctx, 'deploy'), /Neutron answered 409: No more IP addresses available/)

  await using lenient = await world({ info: { fail_on_binding_failure: 'no' } })
  lenient.neutron.vifType = 'binding_failed'
  await network.attach(lenient.ctx, 'deploy')
  await using booting = await world({ ports: [port(first, { pxe_enabled: false })] })
  await assert.rejects(network.attach(booting.ctx, 'deploy'), /none of its ports boots from the network/)
})

test('the DHCP server of its networks tells the machine what to boot; what it told before stays', async () => {
  const cards = [
    port(first, { extra: { 'client-id': 'ff:00' }, pxe_enabled: true }),
    port(second, { pxe_enabled: false }),
  ]
  await using w = await world({ ports: cards })
  const options = [
    { number: 67, value: 'undionly.kpxe', family: 4, tag: '!ipxe' },
    { number: 59, value: 'http://192.0.2.1:8090/boot.ipxe', family: 6 },
  ] as const
  await assert.rejects(network.setDhcpOptions(w.ctx, options), /Neutron has no port of 52:54:00:00:00:01/)
  await network.attach(w.ctx, 'deploy')
  await network.setDhcpOptions(w.ctx, [{ number: 59, value: 'an older URL', family: 6 }])
  await network.setDhcpOptions(w.ctx, options)
  assert.deepEqual(w.in('provisioning')[0]?.extra_dhcp_opts, [
    { opt_name: '61', opt_value: 'ff:00' },
    { opt_name: 'tag:!ipxe,67', opt_value: 'undionly.kpxe', ip_version: 4 },
    { opt_name: '59', opt_value: 'http://192.0.2.1:8090/boot.ipxe', ip_version: 6 },
  ])
})

test('one network for all: VIFs are bound for the deployment as for the instance, cleaning has ports of its own', async () => {
  const attached = port(first, { internal_info: { tenant_vif_port_id: 'vif-1' }, pxe_enabled: true })
  await using w = await world({ ports: [attached] })
  await flat.validate(w.ctx)
  await flat.attach(w.ctx, 'clean')
  assert.deepEqual(
    w.in('cleaning').map(each => each.mac_address),
    [first],
  )
  await flat.detach(w.ctx, 'clean')
  assert.equal(w.neutron.ports.size, 0)
  w.neutron.ports.set('vif-1', { id: 'vif-1', network_id: 'all', mac_address: 'fa:16:3e:00:00:01' })
  const host = () => w.neutron.ports.get('vif-1')?.['binding:host_id']
  await flat.attach(w.ctx, 'deploy')
  await flat.setDhcpOptions(w.ctx, [{ number: 67, value: 'undionly.kpxe', family: 4 }])
  assert.partialDeepStrictEqual(w.neutron.ports.get('vif-1'), {
    mac_address: first,
    extra_dhcp_opts: [{ opt_name: '67', opt_value: 'undionly.kpxe', ip_version: 4 }],
  })
  await flat.detach(w.ctx, 'deploy')
  await flat.attach(w.ctx, 'tenant')
  assert.equal(host(), w.ctx.node.uuid)
  await flat.detach(w.ctx, 'tenant')
  assert.equal(host(), '')
})

test('one network for all, and nobody who would have to know', async () => {
  await using w = await world({ neutron: { endpoint_override: null, cleaning_network: null } })
  await flat.validate(w.ctx)
  await flat.attach(w.ctx, 'deploy')
  await flat.detach(w.ctx, 'deploy')
  assert.equal(w.neutron.ports.size, 0)
})
