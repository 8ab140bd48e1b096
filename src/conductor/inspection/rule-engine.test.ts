/** Rules as operators write them, over what a machine told: what they change, and what they refuse. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '#db/nodes.ts'
import type { Port } from '#db/ports.ts'
import { type Log, silent } from '#lib/log.ts'
import type { InspectionRule } from '#protocol/inspection-rule.ts'
import type { ApiCall } from './api-call.ts'
import { runRules } from './rule-engine.ts'

const inventory = {
  cpu: { count: 8, architecture: 'x86_64', flags: ['aes', 'vmx'] },
  memory: { physical_mb: 65_536 },
  system_vendor: { manufacturer: 'Dell Inc.', product_name: 'PowerEdge R640', serial_number: '{node.driver_info}' },
  bmc_address: '192.0.2.9',
  bmc_v6address: null,
  bmc_password: 'of the bmc',
  interfaces: [
    { name: 'eth0', mac_address: '52:54:00:00:00:01' },
    { name: 'eth1', mac_address: '52:54:00:00:00:02' },
  ],
  boot: { current_boot_mode: 'uefi', pxe_interface: '52:54:00:00:00:01' },
}

const node = {
  uuid: '11111111-2222-4333-8444-555555555555',
  name: 'node-1',
  driver: 'redfish',
  driver_info: { redfish_password: 'of the node', deploy_kernel: 'k' },
  properties: { capabilities: 'boot_mode:bios,cpu_vt:true' },
  extra: { tags: ['old'] },
  traits: ['CUSTOM_OLD'],
  maintenance: false,
  resource_class: null,
  description: null,
} as unknown as Node // the fields that these rules look at

const ports = [
  { uuid: '99999999-2222-4333-8444-555555555555', address: '52:54:00:00:00:01', extra: {}, local_link_connection: {} },
] as unknown as Port[] // likewise

type Line = InspectionRule['actions'][number]

const ruleOf = (given: Partial<InspectionRule>): InspectionRule => ({
  uuid: 'rule-1',
  description: null,
  priority: 0,
  phase: 'main',
  sensitive: false,
  conditions: [],
  actions: [],
  ...given,
})

interface Options {
  pluginData?: Record<string, unknown>
  maskSecrets?: 'always' | 'never' | 'sensitive'
  log?: Log
  calls?: ApiCall[]
}

function run(
  rules: Partial<InspectionRule>[],
  { pluginData = {}, maskSecrets = 'always', log = silent, calls }: Options = {},
) {
  return runRules(
    rules.map(ruleOf),
    { node, ports, inventory, pluginData },
    {
      log,
      maskSecrets,
      secretKeys: new Set(['redfish_password']),
      callApi: async call => {
        calls?.push(call)
      },
    },
  )
}

/** Do these conditions hold together? */
async function hold(...conditions: InspectionRule['conditions']): Promise<boolean> {
  const { told } = await run([{ conditions, actions: [{ op: 'log', args: { msg: 'held' } }] }])
  return told[0]?.did !== null
}

/** What an action leaves behind in the node, plugin data and ports. */
const act = (...actions: Line[]) => run([{ actions }])

const cases: [holds: boolean, condition: InspectionRule['conditions'][number]][] = [
  [true, { op: 'eq', args: { values: ['{node.driver}', 'redfish'] } }],
  [true, { op: 'eq', args: [['a', 'a', 'a']] }],
  [false, { op: 'eq', args: { values: ['a', 'a', 'b'] } }],
  [true, { op: 'eq', args: { values: ['only one'] } }],
  // A placeholder makes a text of a number.
  [false, { op: 'eq', args: { values: ['{inventory[cpu][count]}', 8] } }],
  [true, { op: 'eq', args: { values: ['{inventory[cpu][count]}', 8], force_strings: true } }],
  [true, { op: '!eq', args: { values: ['{node.driver}', 'ipmi'] } }],
  [true, { op: 'lt', args: { values: [4, '{inventory[cpu][count]}', 16] } }],
  [false, { op: 'lt', args: { values: ['{inventory[memory][physical_mb]}', 65_536] } }],
  [true, { op: 'gt', args: { values: ['{inventory[memory][physical_mb]}', '9000'] } }],
  [true, { op: 'lt', args: { values: ['abc', 'abd'] } }],
  [true, { op: 'lt', args: { values: ['9', '10'] } }],
  [true, { op: 'is-empty', args: { value: '{inventory[bmc_v6address]}' } }],
  [true, { op: 'is-empty', args: { value: '{inventory[nothing][there]}' } }],
  [true, { op: 'is-empty', args: { value: '{plugin_data[x]} and more' } }],
  [false, { op: 'is-empty', args: { value: '{inventory[cpu][flags]}' } }],
  [true, { op: 'is-empty', args: { value: {} } }],
  [true, { op: 'in-net', args: { address: '{inventory[bmc_address]}', subnet: '192.0.2.0/24' } }],
  [true, { op: 'in-net', args: { address: '192.0.2.9', subnet: '192.0.2.77/255.255.255.0' } }],
  [false, { op: 'in-net', args: { address: '192.0.3.9', subnet: '192.0.2.0/24' } }],
  [false, { op: 'in-net', args: { address: '2001:db8::1', subnet: '192.0.2.0/24' } }],
  [true, { op: 'in-net', args: { address: '2001:db8::1', subnet: '2001:db8::/32' } }],
  [true, { op: 'contains', args: { value: '{inventory[system_vendor][manufacturer]}', regex: '(?i)dell' } }],
  [false, { op: 'contains', args: { value: '{inventory[system_vendor][manufacturer]}', regex: 'dell' } }],
  [false, { op: 'matches', args: { value: '{inventory[system_vendor][manufacturer]}', regex: 'Dell' } }],
  [true, { op: 'matches', args: { value: '{inventory[system_vendor][manufacturer]}', regex: 'HPE|Dell.*' } }],
  [true, { op: 'one-of', args: { value: '{inventory[cpu][architecture]}', values: ['aarch64', 'x86_64'] } }],
  [true, { op: 'one-of', args: { value: 4, values: [4, 5] } }],
  [true, { op: 'is-none', args: { value: '{inventory[bmc_v6address]}' } }],
  [false, { op: 'is-none', args: { value: '{inventory[bmc_address]}' } }],
  [true, { op: 'is-true', args: { value: 'Yes' } }],
  [true, { op: 'is-true', args: { value: 1 } }],
  [false, { op: 'is-true', args: { value: '{inventory[bmc_address]}' } }],
  [true, { op: 'is-false', args: { value: '{node.maintenance}' } }],
  [true, { op: 'is-false', args: { value: null } }],
  [false, { op: 'is-false', args: { value: 'perhaps' } }],
  // Loops: one, all, the first or the last of the items.
  [true, { op: 'eq', args: { values: ['{inventory[cpu][count]}', '{item}'] }, loop: [4, 8], multiple: 'any' }],
  [false, { op: 'eq', args: { values: ['{inventory[cpu][count]}', '{item}'] }, loop: [4, 8], multiple: 'all' }],
  [true, { op: 'eq', args: { values: ['{inventory[cpu][count]}', '{item}'] }, loop: [4, 8], multiple: 'first' }],
  [false, { op: 'eq', args: { values: ['{inventory[cpu][count]}', '{item}'] }, loop: [8, 4], multiple: 'last' }],
  [true, { op: '!eq', args: { values: ['{inventory[cpu][count]}', '{item}'] }, loop: [2, 4], multiple: 'all' }],
  [true, { op: 'contains', args: { value: 'b', regex: '{item[wanted]}' }, loop: { wanted: 'b' } }],
]

test('conditions hold as Ironic has them', async () => {
  for (const [holds, condition] of cases) assert.equal(await hold(condition), holds, JSON.stringify(condition))
})

test('all conditions of a rule must hold, and one without conditions always applies', async () => {
  const yes = { op: 'is-true', args: { value: true } }
  assert.equal(await hold(yes, { op: '!is-true', args: { value: true } }), false)
  assert.equal(await hold(yes, yes), true)
  assert.equal(await hold(), true)
})

const broken: [InspectionRule['conditions'][number], RegExp][] = [
  [{ op: 'lt', args: { values: ['{inventory[cpu][count]}', null] } }, /lt cannot compare "8" with null/],
  [{ op: 'eq', args: { values: 'x' } }, /found "x" for values, expected a list/],
  [{ op: 'in-net', args: { address: '{inventory[nope]}', subnet: '192.0.2.0/24' } }, /expected an IP address/],
  [{ op: 'in-net', args: { address: '192.0.2.9', subnet: '192.0.2.0/33' } }, /expected a network such as/],
  [{ op: 'in-net', args: { address: '192.0.2.9', subnet: '192.0.2.0/255.0.255.0' } }, /expected a network such as/],
  [{ op: 'contains', args: { value: 'x', regex: '(' } }, /it is none/],
  [{ op: 'matches', args: { value: `${'a'.repeat(40)}!`, regex: '(a+)+' } }, /took more than 100 ms/],
]

test('a condition that cannot be asked fails the inspection, and names rule and operator', async () => {
  for (const [condition, why] of broken) {
    const rules = [{ description: 'of the test', conditions: [condition], actions: [] }]
    await assert.rejects(run(rules), error => {
      assert.ok(error instanceof Error)
      assert.match(error.message, why)
      assert.match(
        error.message,
        new RegExp(`^Inspection rule rule-1 \\(of the test\\) failed at its condition ${condition.op}`),
      )
      return true
    })
  }
})

test('actions change the node, its ports and the plugin data', async () => {
  const {
    node: patch,
    ports: changed,
    pluginData,
  } = await act(
    { op: 'set-attribute', args: { path: '/driver_info/redfish_address', value: 'https://{inventory[bmc_address]}' } },
    { op: 'set-attribute', args: { path: 'extra.a.b', value: { arch: '{inventory[cpu][architecture]}', n: [1] } } },
    { op: 'set-attribute', args: { path: 'maintenance', value: 'yes' } },
    {
      op: 'set-attribute',
      args: { path: '/resource_class', value: '{inventory[cpu][architecture]:>8}.{node.name!r}' },
    },
    { op: 'extend-attribute', args: { path: '/extra/tags', value: 'new' } },
    { op: 'extend-attribute', args: { path: '/extra/tags', value: 'new', unique: true } },
    { op: 'del-attribute', args: { path: '/driver_info/deploy_kernel' } },
    { op: 'del-attribute', args: { path: '/properties/never/there' } },
    { op: 'set-capability', args: { name: 'boot_mode', value: '{inventory[boot][current_boot_mode]}' } },
    { op: 'unset-capability', args: { name: 'cpu_vt' } },
    { op: 'add-trait', args: { name: 'CUSTOM_NEW' } },
    { op: 'add-trait', args: { name: 'CUSTOM_NEW' } },
    { op: 'remove-trait', args: { name: 'CUSTOM_OLD' } },
    { op: 'remove-trait', args: { name: 'CUSTOM_NEVER' } },
    { op: 'set-plugin-data', args: { path: 'rack.name', value: '{inventory[interfaces][1][name]}' } },
    { op: 'extend-plugin-data', args: { path: 'rack/rows', value: 3 } },
    { op: 'set-plugin-data', args: { path: 'gone.soon', value: 1 } },
    { op: 'unset-plugin-data', args: { path: 'gone.soon' } },
    { op: 'unset-plugin-data', args: { path: 'never/there' } },
    { op: 'set-port-attribute', args: { port_id: '52:54:00:00:00:01', path: 'extra/switch', value: 's1' } },
    { op: 'set-port-attribute', args: { port_id: ports[0]?.uuid, path: 'physical_network', value: 'net-1' } },
    { op: 'extend-port-attribute', args: { port_id: '52:54:00:00:00:01', path: 'extra/vlans', value: 7 } },
  )
  assert.deepEqual(patch.driver_info, { redfish_password: 'of the node', redfish_address: 'https://192.0.2.9' })
  assert.deepEqual(patch.extra, { tags: ['old', 'new'], a: { b: { arch: 'x86_64', n: [1] } } })
  assert.equal(patch.maintenance, true)
  assert.equal(patch.resource_class, "  x86_64.'node-1'")
  assert.deepEqual(patch.properties, { capabilities: 'boot_mode:uefi' })
  assert.deepEqual(patch.traits, ['CUSTOM_NEW'])
  assert.deepEqual(pluginData, { rack: { name: 'eth1', rows: [3] } })
  const [port] = changed
  assert.deepEqual(port?.patch, { extra: { switch: 's1', vlans: [7] }, physical_network: 'net-1' })
})

test('what cannot be done fails the inspection, and nothing is changed', async () => {
  const refused: [Line, RegExp][] = [
    [
      { op: 'fail', args: { msg: 'no {inventory[system_vendor][product_name]} here' } },
      /refuses the machine: no PowerEdge R640 here/,
    ],
    [
      { op: 'set-attribute', args: { path: '/provision_state', value: 'active' } },
      /"provision_state" is no field of a node that may be set/,
    ],
    [{ op: 'set-attribute', args: { path: '/drivr', value: 'x' } }, /did you mean driver\?/],
    [
      { op: 'set-attribute', args: { path: '/maintenance', value: 'perhaps' } },
      /node field maintenance cannot be "perhaps"/,
    ],
    [{ op: 'set-attribute', args: { path: '/driver/x', value: 1 } }, /found no object at "driver"/],
    [{ op: 'set-attribute', args: { path: '/extra/__proto__/x', value: 1 } }, /found the path/],
    [{ op: 'set-attribute', args: { path: '', value: 1 } }, /found the path ""/],
    [{ op: 'extend-attribute', args: { path: '/properties/capabilities', value: 'x' } }, /found no list/],
    [{ op: 'add-trait', args: { name: 'fast' } }, /found the trait "fast"/],
    [
      { op: 'set-port-attribute', args: { port_id: '52:54:00:00:00:99', path: 'extra/x', value: 1 } },
      /the node has no port/,
    ],
    [{ op: 'log', args: { msg: 'x', level: 'loud' } }, /found the level loud/],
    [{ op: 'set-capability', args: { name: 'a', value: 'b,secure_boot:true' } }, /expected one without commas/],
    [{ op: 'api-call', args: { url: 'http://192.0.2.1/', timeout: 0 } }, /found 0 for timeout/],
    [{ op: 'api-call', args: { url: 'http://192.0.2.1/', retries: 'x' } }, /found "x" for retries/],
  ]
  for (const [action, why] of refused) await assert.rejects(act(action), why, JSON.stringify(action))
  assert.deepEqual(node.driver_info, { redfish_password: 'of the node', deploy_kernel: 'k' })
})

test('rules run by priority, and see what those before them did', async () => {
  const mark = (value: string) => ({ op: 'extend-plugin-data', args: { path: 'order', value } })
  const { pluginData, told } = await run([
    { uuid: 'low', priority: 1, actions: [mark('low after {plugin_data[order]}')] },
    { uuid: 'high', priority: 100, actions: [mark('high')] },
    { uuid: 'also low', priority: 1, conditions: [{ op: 'is-none', args: { value: 'x' } }], actions: [mark('never')] },
  ])
  assert.deepEqual(pluginData, { order: ['high', "low after ['high']"] })
  assert.deepEqual(
    told.map(({ uuid, did, unmet }) => [uuid, did, unmet]),
    [
      ['high', ['extend-plugin-data order'], undefined],
      ['low', ['extend-plugin-data order'], undefined],
      ['also low', null, 'is-none'],
    ],
  )
})

test('a loop does an action for each item, whose own placeholders are filled in', async () => {
  const { node: patch } = await act({
    op: 'set-attribute',
    args: { path: '{item[path]}', value: '{item[value]}' },
    loop: [
      { path: '/extra/user', value: 'admin' },
      { path: '/extra/address', value: '{inventory[bmc_address]}' },
    ],
  })
  assert.deepEqual(patch.extra, { tags: ['old'], user: 'admin', address: '192.0.2.9' })
})

test('what a machine tells is data: placeholders in it stay what they are', async () => {
  const value = '{inventory[system_vendor][serial_number]}'
  const plain = await act({ op: 'set-plugin-data', args: { path: 'a', value } })
  const looped = await act({ op: 'set-plugin-data', args: { path: 'a', value: '{item}' }, loop: [value] })
  assert.deepEqual([plain.pluginData, looped.pluginData], [{ a: '{node.driver_info}' }, { a: '{node.driver_info}' }])
})

test('a text with a placeholder that cannot be filled in stays whole', async () => {
  for (const value of [
    '{inventory[a]} {node.name}',
    '{nothing}',
    '{}',
    'a { b',
    '{node.__class__}',
    '{inventory.cpu}',
    '{node[name]}',
  ]) {
    const { pluginData } = await act({ op: 'set-plugin-data', args: { path: 'x', value } })
    assert.deepEqual(pluginData, { x: value })
  }
  const { pluginData } = await act({ op: 'set-plugin-data', args: { path: 'x', value: '{{{node.name}}}' } })
  assert.deepEqual(pluginData, { x: '{node-1}' })
})

test('secrets that a ramdisk told are hidden from rules as the option says', async () => {
  const seen = async (maskSecrets: 'always' | 'never' | 'sensitive', sensitive: boolean) => {
    const value = '{inventory[bmc_password]} {plugin_data[deep]}'
    const actions = [{ op: 'set-attribute', args: { path: '/extra/x', value } }]
    const { node: patch } = await run([{ sensitive, actions }], {
      maskSecrets,
      pluginData: { deep: [{ auth_token: 't' }] },
    })
    return patch.extra?.x
  }
  const [hidden, open] = ["*** [{'auth_token': '***'}]", "of the bmc [{'auth_token': 't'}]"]
  assert.equal(await seen('always', true), hidden)
  assert.equal(await seen('sensitive', false), hidden)
  assert.equal(await seen('sensitive', true), open)
  assert.equal(await seen('never', false), open)
})

test("the node's secrets reach services and settings, never the log or the inventory", async () => {
  const lines: string[] = []
  const log = { ...silent, info: (_: object, message: string) => void lines.push(message) }
  const calls: ApiCall[] = []
  const secret = '{node.driver_info[redfish_password]}'
  const { pluginData, node: patch } = await run(
    [
      {
        actions: [
          { op: 'log', args: { msg: `it is ${secret}` } },
          { op: 'set-plugin-data', args: { path: 'x', value: secret } },
          { op: 'set-attribute', args: { path: '/driver_info/copy', value: secret } },
          { op: 'api-call', args: { url: 'http://192.0.2.1/{node.uuid}', headers: { 'x-a': 'b' }, timeout: '2' } },
        ],
      },
    ],
    { log, calls },
  )
  assert.ok(lines.includes('it is ******'))
  assert.deepEqual(pluginData, { x: '******' })
  assert.equal(patch.driver_info?.copy, 'of the node')
  assert.deepEqual(calls, [
    {
      url: `http://192.0.2.1/${node.uuid}`,
      headers: { 'x-a': 'b' },
      proxies: {},
      timeoutS: 2,
      retries: 3,
      backoffFactor: 0.3,
    },
  ])
})

test('a sensitive rule tells neither what it asks nor what it does', async () => {
  const secret = { op: 'set-attribute', args: { path: '/driver_info/hidden_place', value: 'x' } }
  const { told } = await run([{ sensitive: true, actions: [secret] }])
  assert.deepEqual(told, [{ uuid: 'rule-1', description: null, did: [] }])
  const wrong = { op: 'set-attribute', args: { path: '/hidden_place', value: 'x' } }
  await assert.rejects(run([{ sensitive: true, actions: [wrong] }]), error => {
    assert.ok(error instanceof Error)
    assert.equal(error.message, 'Inspection rule rule-1 failed at its action set-attribute')
    return true
  })
})
