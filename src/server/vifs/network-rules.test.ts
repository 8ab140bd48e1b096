import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silent } from '#lib/log.ts'
import { NetworkRulesWrong, openNetworkRules, readNetworkRules } from './network-rules.ts'

const read = (text: string) => readNetworkRules('/etc/rules.yaml', text)

test('traits come in their order, with what is told of each action', () => {
  const rules = read(`
CUSTOM_LAST:
  order: 7
  actions:
    - {action: attach_portgroup, filter: port.is_portgroup}
CUSTOM_BOND:
  actions:
    - action: group_and_attach_ports
      filter: port.vendor == 'acme'
      min_count: 2
      max_count: '4'
    - {action: attach_port, filter: "port.category == 'storage'"}
`)
  assert.deepEqual(
    rules.map(({ trait, actions }) => [trait, actions.map(({ filter: _, ...action }) => action)]),
    [
      [
        'CUSTOM_BOND',
        [
          { action: 'group_and_attach_ports', min_count: 2, max_count: 4 },
          { action: 'attach_port', min_count: null, max_count: null },
        ],
      ],
      ['CUSTOM_LAST', [{ action: 'attach_portgroup', min_count: null, max_count: null }]],
    ],
  )
  assert.deepEqual(read(''), [])
})

test('all that is wrong is told, with file, trait and field', () => {
  const wrong = (text: string) => {
    try {
      read(text)
    } catch (error) {
      assert.ok(error instanceof NetworkRulesWrong)
      assert.match(error.message, /^Cannot use the file of trait-based networking, \/etc\/rules\.yaml: /)
      return error.message
    }
    return assert.fail('it was taken')
  }
  const said = wrong(`
lower: {actions: [{action: attach_port, filter: port.is_port}]}
CUSTOM_A: nothing
CUSTOM_B: {order: high, colour: red}
CUSTOM_C:
  actions:
    - attach
    - {action: bond_ports, filter: port.is_port}
    - {action: attach_port, filter: "port.vendor = 'x'", color: red}
    - {action: group_and_attach_ports, filter: port.is_port}
    - {action: attach_port, filter: port.is_port, min_count: 3, max_count: 2}
    - {action: attach_port, min_count: -1}
`)
  for (const part of [
    'trait "lower": expected a name such as CUSTOM_STORAGE',
    'trait CUSTOM_A: found "nothing", expected actions',
    'trait CUSTOM_B: found the field "colour", expected order and actions alone',
    'trait CUSTOM_B, order: found "high", expected a whole number',
    'trait CUSTOM_B, actions: found nothing, expected a list of one action or more',
    'trait CUSTOM_C, actions[0]: found "attach", expected action, filter, min_count, max_count',
    'trait CUSTOM_C, actions[1], action: found "bond_ports", expected one of attach_port, attach_portgroup, group_and',
    'trait CUSTOM_C, actions[2]: found the field "color"',
    'trait CUSTOM_C, actions[2], filter: found "= \'x\'" at character 13',
    'trait CUSTOM_C, actions[3], min_count: found nothing, expected at least 2 for group_and_attach_ports',
    'trait CUSTOM_C, actions[4], max_count: found 2, expected at least min_count, 3',
    'trait CUSTOM_C, actions[5], filter: found nothing, expected a filter as text',
    'trait CUSTOM_C, actions[5], min_count: found -1, expected a whole number from 1',
  ]) {
    assert.ok(said.includes(part), `${part}\n${said}`)
  }
  assert.match(wrong('[a, b]'), /expected traits with their actions/)
  assert.match(wrong('a: [b'), /rules\.yaml: ./)
})

test('a file that changed is read again; one that went wrong leaves what was read before in force', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-rules-'))
  try {
    const path = join(folder, 'rules.yaml')
    await assert.rejects(
      openNetworkRules(path, silent),
      /Cannot read the file of trait-based networking, .*rules\.yaml/,
    )
    const put = (trait: string) => writeFile(path, `${trait}: {actions: [{action: attach_port, filter: port.is_port}]}`)
    await put('CUSTOM_ONE')
    const rules = await openNetworkRules(path, silent)
    const traits = async () => (await rules.read()).map(({ trait }) => trait)
    assert.deepEqual(await traits(), ['CUSTOM_ONE'])
    await put('CUSTOM_ANOTHER')
    assert.deepEqual(await traits(), ['CUSTOM_ANOTHER'])
    await put('wrong')
    assert.deepEqual(await traits(), ['CUSTOM_ANOTHER'])
    await put('CUSTOM_RIGHT_AGAIN')
    assert.deepEqual(await traits(), ['CUSTOM_RIGHT_AGAIN'])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
