import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { Failure, type FakePrograms, fakePrograms } from '../fake-programs.ts'
import { listNetworkInterfaces } from './network-interfaces.ts'
import { testContext } from './test-run.ts'
import { makeVlanInterfaces, wantedVlans } from './vlan-interfaces.ts'

const cards = [
  { name: 'eno1', mac_address: '00:00:00:00:00:01' },
  { name: 'eno2', mac_address: '00:00:00:00:00:0a' },
]

test('VLANs by name, by address, and as switches announce them', () => {
  const heard = {
    eno1: [
      [1, '04aa'],
      [127, '0080c2030064036f6e65'],
      [127, '0080c20300c80374776f'],
      [127, '00120f01'],
    ] as [number, string][],
    eno2: [[127, '0080c203']] as [number, string][],
  }
  const { vlans, problems } = wantedVlans(
    ['eno1.5', '00:00:00:00:00:0A.7', 'all', 'eno9.1', 'eno1.4095', 'eno2'],
    cards,
    heard,
  )
  assert.deepEqual(vlans, [
    { interface: 'eno1', id: 5 },
    { interface: 'eno2', id: 7 },
    { interface: 'eno1', id: 100 },
    { interface: 'eno1', id: 200 },
  ])
  assert.deepEqual(problems, [
    'ipa-enable-vlan-interfaces: no network card is eno9',
    'ipa-enable-vlan-interfaces: 4095 is no VLAN, expected 1 to 4094',
  ])
})

let fakes: FakePrograms
let dir: string
beforeEach(async () => {
  fakes = await fakePrograms()
  dir = mkdtempSync(join(tmpdir(), 'ferrite-vlan-'))
})
afterEach(async () => {
  await fakes.remove()
  rmSync(dir, { recursive: true })
})

test('they are made and brought up; one that fails spares the others', async t => {
  const [card] = await listNetworkInterfaces()
  if (card === undefined) return t.skip('this machine has no network card')
  fakes.add('ip', args => {
    if (args.includes('5')) throw new Failure('RTNETLINK answers: Operation not supported', 2)
    return ''
  })
  const vlanInterfaces = [`${card.name}.5`, `${card.name}.6`]
  await makeVlanInterfaces(testContext({ devices: [], stateDir: dir, options: { vlanInterfaces } }))
  assert.deepEqual(fakes.calls, [
    `ip link add link ${card.name} name ${card.name}.5 type vlan id 5`,
    `ip link add link ${card.name} name ${card.name}.6 type vlan id 6`,
    `ip link set dev ${card.name}.6 up`,
  ])
  await makeVlanInterfaces(testContext({ devices: [], stateDir: dir }))
  assert.equal(fakes.calls.length, 3)
})
