import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseLldp } from './lldp-tlvs.ts'

const text = (value: string) => Buffer.from(value).toString('hex')

/** Frames as switches send them, by what they say; source: the standards named in lldp-tlvs.ts. */
const frames: [tlvs: [number, string][], says: Record<string, unknown>][] = [
  [[[1, '0501c0000201']], { switch_chassis_id: '192.0.2.1' }],
  [[[1, `0502${'20010db8'.padEnd(31, '0')}1`]], { switch_chassis_id: '2001:db8::1' }],
  [[[2, '0352540000aabb']], { switch_port_id: '52:54:00:00:aa:bb' }],
  [[[2, `07${text('17')}`]], { switch_port_id: '17' }],
  [
    [
      [4, text('uplink')],
      [6, text('OS 1.2')],
    ],
    { switch_port_description: 'uplink', switch_system_description: 'OS 1.2' },
  ],
  [[[7, '00140004']], { switch_capabilities_support: ['Bridge', 'Router'], switch_capabilities_enabled: ['Bridge'] }],
  [
    [
      [8, '0501c0000202020000000100'],
      [8, '110220010db8000000000000000000000001'],
    ],
    { switch_mgmt_addresses: ['192.0.2.2', '2001:db8::1'] },
  ],
  [
    [[127, '0080c2020600c8']],
    {
      switch_port_protocol_vlan_enabled: true,
      switch_port_protocol_vlan_support: true,
      switch_port_protocol_vlan_ids: [200],
    },
  ],
  [
    [
      [127, `0080c203006404${text('blue')}`],
      [127, `0080c203006503${text('red')}`],
    ],
    {
      switch_port_vlans: [
        { name: 'blue', id: 100 },
        { name: 'red', id: 101 },
      ],
    },
  ],
  [
    [
      [127, '0080c204028100'],
      [127, '0080c2060001'],
    ],
    {
      switch_protocol_identities: ['8100'],
      switch_port_management_vlan_id: 1,
    },
  ],
  [
    [[127, '0080c2070300000007']],
    {
      switch_port_link_aggregation_enabled: true,
      switch_port_link_aggregation_support: true,
      switch_port_link_aggregation_id: 7,
    },
  ],
  [
    [[127, '00120f01036c01001e']],
    {
      switch_port_autonegotiation_enabled: true,
      switch_port_autonegotiation_support: true,
      switch_port_physical_capabilities: [
        '100BASE-TX fdx',
        '100BASE-TX hdx',
        '1000BASE-T fdx',
        '10BASE-T fdx',
        '10BASE-T hdx',
      ].toSorted(),
      switch_port_mau_type: '1000BASE-T full duplex',
    },
  ],
  [[[127, '00120f0405dc']], { switch_port_mtu: 1500 }],
  // The first of a name counts; what is unknown or malformed is left out.
  [
    [
      [5, text('one')],
      [5, text('two')],
    ],
    { switch_system_name: 'one' },
  ],
  [
    [
      [127, '00120f0103000000ff'],
      [127, 'aabbcc01'],
      [9, '00'],
      [7, '00'],
      [1, '0401'],
      [5, 'ff'],
    ],
    {},
  ],
]

test('each TLV says what the standard has it say', () => {
  for (const [tlvs, says] of frames) assert.deepEqual(parseLldp(tlvs), says, JSON.stringify(tlvs))
})

test('no frame, and nothing in the place of one, is too odd to be read', () => {
  const hex = fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes).toString('hex'))
  const tlv = fc.oneof(fc.tuple(fc.constantFrom(1, 2, 4, 5, 7, 8, 127), hex), fc.anything())
  const organisation = fc.tuple(
    fc.constant(127),
    fc.tuple(fc.constantFrom('0080c2', '00120f'), hex).map(([oui, rest]) => oui + rest),
  )
  fc.assert(
    fc.property(fc.oneof(fc.array(fc.oneof(tlv, organisation)), fc.anything()), tlvs => {
      JSON.stringify(parseLldp(tlvs))
    }),
    { numRuns: 2000 },
  )
})
