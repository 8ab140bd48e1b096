import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planNetwork } from './plan.ts'

const nics = new Map([
  ['52:54:00:00:00:01', 'eth0'],
  ['52:54:00:00:00:02', 'eth1'],
])
const card = (id: string, last: number) => ({
  id,
  type: 'phy' as const,
  ethernet_mac_address: `52:54:00:00:00:0${last}`,
})
const lines = (plan: ReturnType<typeof planNetwork>) => plan.commands.map(command => command.join(' '))

test('addresses, routes and name servers of both families', () => {
  const plan = planNetwork(
    {
      links: [{ ...card('a', 1), mtu: 9000 }],
      networks: [
        {
          id: 'v4',
          link: 'a',
          type: 'ipv4',
          ip_address: '192.0.2.5',
          netmask: '255.255.254.0',
          routes: [
            { network: '0.0.0.0', netmask: '0.0.0.0', gateway: '192.0.2.1' },
            { network: '198.51.100.0', netmask: '255.255.255.0', gateway: '192.0.2.9' },
          ],
          services: [{ type: 'dns', address: '192.0.2.53' }],
        },
        {
          id: 'v6',
          link: 'a',
          type: 'ipv6',
          ip_address: '2001:db8::5',
          netmask: 'ffff:ffff:ffff:ffff::',
          routes: [{ network: '::', netmask: '::', gateway: '2001:db8::1' }],
        },
      ],
      services: [{ type: 'dns', address: '192.0.2.53' }],
    },
    nics,
  )
  assert.deepEqual(lines(plan), [
    'link set dev eth0 mtu 9000',
    'link set dev eth0 up',
    'addr replace 192.0.2.5/23 dev eth0',
    'route replace default via 192.0.2.1 dev eth0 onlink',
    'route replace 198.51.100.0/24 via 192.0.2.9 dev eth0 onlink',
    'addr replace 2001:db8::5/64 dev eth0',
    '-6 route replace default via 2001:db8::1 dev eth0 onlink',
  ])
  assert.deepEqual([plan.nameServers, plan.dhcp, plan.problems], [['192.0.2.53'], [], []])
})

test('a VLAN on a bond of two cards, in whatever order they are told', () => {
  const plan = planNetwork(
    {
      links: [
        { id: 'v', type: 'vlan', vlan_mac_address: '52:54:00:00:00:01', vlan_id: 42, vlan_link: 'b' },
        { id: 'b', type: 'bond', bond_mode: '802.3ad', bond_links: ['one', 'two'] },
        card('one', 1),
        card('two', 2),
      ],
      networks: [{ id: 'n', link: 'v', type: 'ipv4', ip_address: '192.0.2.5', netmask: '24' }],
      services: [],
    },
    nics,
  )
  assert.deepEqual(lines(plan).slice(2), [
    'link add bond0 type bond mode 802.3ad',
    'link set dev eth0 down',
    'link set dev eth0 master bond0',
    'link set dev eth1 down',
    'link set dev eth1 master bond0',
    'link set dev bond0 up',
    'link add link bond0 name bond0.42 type vlan id 42',
    'link set dev bond0.42 up',
    'addr replace 192.0.2.5/24 dev bond0.42',
  ])
})

test('what is not there or makes no sense is named, and DHCP is asked where that is wanted', () => {
  const network = (more: object) => ({ id: 'n', link: 'a', type: 'ipv4' as const, ...more })
  const missing = planNetwork({ links: [card('a', 9)], networks: [network({})], services: [] }, nics)
  assert.deepEqual(missing.commands, [])
  assert.match(missing.problems.join('; '), /card 52:54:00:00:00:09, which is not there; network n is on link a/)
  for (const more of [{}, { ip_address: '192.0.2.5' }, { ip_address: '192.0.2.5', netmask: '255.0.255.0' }]) {
    const wrong = planNetwork({ links: [card('a', 1)], networks: [network(more)], services: [] }, nics)
    assert.match(wrong.problems.join(), /expected both/)
  }
  const dhcp = planNetwork(
    { links: [card('a', 1)], networks: [{ id: 'n', link: 'a', type: 'ipv4_dhcp' }], services: [] },
    nics,
  )
  assert.deepEqual(dhcp.dhcp, ['eth0'])
  assert.deepEqual(planNetwork({}, nics).commands, [])
})
