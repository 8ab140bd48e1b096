/** `ferrite apply` and the verbs for many nodes: the client, against a service of simulated machines, and wrong files. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { brisk } from '#sim/settings.ts'
import { Site } from '#sim/site.ts'
import type { Item } from '../command.ts'
import { TestClient } from '../test-client.ts'
import { wavesOf } from '../waves.ts'
import { changesOf, nextVerb } from './course.ts'
import { readDescription } from './description.ts'

let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-apply-'))
})
after(() => rm(directory, { recursive: true, force: true }))

async function file(text: string): Promise<string> {
  const path = join(directory, `${crypto.randomUUID()}.yaml`)
  await writeFile(path, text)
  return path
}

describe('a fleet', () => {
  let site: Site
  let cli: TestClient
  before(async () => {
    site = await Site.start({ directory: join(directory, 'site'), nodes: 3, settings: brisk })
    cli = new TestClient({ OS_ENDPOINT: site.service.endpoint, BMC_PASSWORD: 'never shown' })
    cli.onSleep = () => sleep(50)
  })
  after(() => site.stop())

  const fleet = (state: string, more: object = {}) => ({
    defaults: { driver: 'redfish', boot_interface: 'ipxe', network_interface: 'noop', state, ...more },
    nodes: site.fleet.machines.map((machine, at) => ({
      ...{ name: `web-${at}`, driver_info: site.driverInfo(machine), traits: ['CUSTOM_WEB'] },
      ports: machine.macs.slice(0, 1).map(address => ({ address })),
      instance_info: site.instanceInfo(),
    })),
  })
  /** `-f` is the file here. */
  const rows = async (line: string) => JSON.parse(await cli.ok(`${line} --format json`)) as Item[] // lists are printed as arrays

  test('apply: nodes are enrolled and deployed, the second time nothing happens', async () => {
    const path = await file(JSON.stringify(fleet('active')))
    const planned = await rows(`apply -f ${path} --plan`)
    assert.match(String(planned[0]?.actions), /^create; set traits; create port \S+; manage; provide; deploy$/)
    assert.deepEqual(await rows('node list'), [], 'a plan changes nothing')

    const applied = await rows(`apply -f ${path} --canary 1 --wave 2`)
    assert.deepEqual(
      applied.map(({ node, outcome }) => [node, outcome]),
      [0, 1, 2].map(at => [`web-${at}`, 'applied']),
    )
    assert.deepEqual([...new Set((await rows('node list')).map(row => row.provision_state))], ['active'])
    const before = JSON.stringify(await rows('node list --long'))
    for (const row of await rows(`apply -f ${path}`))
      assert.deepEqual([row.actions, row.outcome], ['', 'as it should be'])
    assert.equal(JSON.stringify(await rows('node list --long')), before)

    const changed = await file(JSON.stringify(fleet('active', { description: 'row 7', extra: { rack: 7 } })))
    const [first] = await rows(`apply -f ${changed}`)
    assert.deepEqual([first?.actions, first?.outcome], ['set description, extra.rack', 'applied'])

    const other = fleet('active')
    Object.assign(other.nodes[1] ?? {}, { instance_info: { image_source: 'http://other.example/image' } })
    const outcome = await cli.run(`apply --file ${await file(JSON.stringify(other))} --wave 1 --format json`)
    assert.equal(outcome.status, 1)
    assert.match(outcome.err, /Stopped after wave 2 of 3; not begun: web-2/)
    assert.match(outcome.out, /what is deployed differs in instance_info\.image_source; \\"node rebuild\\"/)

    const back = await cli.run(`apply -f ${await file(JSON.stringify(fleet('available')))} --format json`)
    assert.equal(back.status, 1)
    assert.match(back.out, /it holds an instance/, 'nothing is torn down')
  })

  test('verbs for all, in waves, stop at a failure', async () => {
    await cli.fails('node undeploy', 2, /name nodes, or give --all or --where/)
    await cli.fails('node undeploy web-0 --all', 2, /not both/)
    await cli.fails('node undeploy --where colour', 2, /expected <field>=<value>/)
    await cli.ok('node set web-1 --protected')
    const { status, err } = await cli.run('node undeploy --where driver=redfish --canary 1 --wave 1')
    assert.equal(status, 1)
    assert.match(err, /protected/)
    assert.match(err, /Stopped after wave 2 of 3; not begun: web-2/)
    const states = (await rows('node list --sort name')).map(row => row.provision_state)
    assert.deepEqual(states, ['available', 'active', 'active'])
    await cli.ok('node unset web-1 --protected')
    const all = await cli.run('node undeploy --all --wave 5')
    assert.equal(all.status, 0, all.err)
    assert.match(all.err, /Leaving out 1 of 3 nodes/)
    assert.deepEqual([...new Set((await rows('node list')).map(row => row.provision_state))], ['available'])
  })
})

const wrong: readonly [string, string, RegExp][] = [
  ['no YAML', 'nodes: [', /it is no YAML/],
  ['no nodes', 'defaults: {}', /:1: nodes: expected a list/],
  [
    'a key nobody knows',
    'nodes:\n  - name: a\n    driver: redfish\n    drivr_info: {}',
    /:4: nodes\[0\]\.drivr_info: not known; did you mean driver_info\?/,
  ],
  [
    'a value of another kind',
    'nodes:\n  - name: a\n    driver: redfish\n    retired: 5',
    /:4: nodes\[0\]\.retired: found 5, must be boolean/,
  ],
  [
    'a state nobody can ask for',
    'nodes:\n  - name: a\n    driver: d\n    state: deployed',
    /:4: nodes\[0\]\.state: found "deployed", expected enroll, manageable/,
  ],
  ['a name missing', 'nodes:\n  - driver: d\n  - name: b\n    driver: d', /:2: nodes\[0\]\.name: missing/],
  [
    'a name twice',
    'nodes:\n- {name: a, driver: d}\n- {name: a, driver: d}',
    /:3: nodes\[1\]\.name: "a" is there twice/,
  ],
  ['a driver missing', 'nodes:\n- name: a', /nodes\[0\]\.driver: missing, here and in defaults/],
  [
    'a port without address',
    'nodes:\n- name: a\n  driver: d\n  ports:\n  - pxe_enabled: true',
    /:5: nodes\[0\]\.ports\[0\]\.address: missing/,
  ],
  [
    'a wrong address',
    'nodes:\n- name: a\n  driver: d\n  ports:\n  - address: here',
    /:5: nodes\[0\]\.ports\[0\]\.address: found "here"/,
  ],
  [
    'a variable that is not set',
    'nodes:\n- name: a\n  driver: d\n  driver_info:\n    password: {env: NOT_SET}',
    /:5: nodes\[0\]\.driver_info\.password: the environment variable NOT_SET/,
  ],
]
for (const [what, text, message] of wrong) {
  test(`a file with ${what} is refused by file, line and field`, async () => {
    const path = await file(text)
    await assert.rejects(readDescription(path, {}), (error: Error) => {
      assert.match(error.message, message)
      assert.ok(error.message.includes(path))
      return true
    })
  })
}

test('defaults stand below, variables are read, secrets are compared as far as they are shown', async () => {
  const path = await file(
    'defaults: {driver: d, driver_info: {user: u, password: {env: P}}}\nnodes: [{name: a, driver_info: {address: x}}]',
  )
  const [node] = await readDescription(path, { P: 'secret' })
  assert.deepEqual(node?.fields, { driver: 'd', driver_info: { user: 'u', password: 'secret', address: 'x' } })
  const found = { driver: 'd', driver_info: { user: 'v', password: '******', address: 'x', more: 1 } }
  assert.deepEqual(changesOf(node?.fields ?? {}, found), [{ op: 'add', path: '/driver_info/user', value: 'u' }])
  assert.equal(changesOf(node?.fields ?? {}, found, { secretsToo: true }).length, 2)
  assert.deepEqual(changesOf({ owner: null, extra: { 'a/b': null } }, { owner: 'x', extra: { 'a/b': 1 } }), [
    { op: 'remove', path: '/owner' },
    { op: 'remove', path: '/extra/a~1b' },
  ])
})

test('a course never leads over an instance', () => {
  const verb = (state: 'enroll' | 'manageable' | 'available' | 'active', now: string, more: Item = {}) =>
    nextVerb({ state, inspect: false }, { provision_state: now, ...more })
  assert.deepEqual(verb('active', 'deploy failed'), { verb: 'active' })
  for (const state of ['enroll', 'manageable', 'available'] as const) {
    assert.match(JSON.stringify(verb(state, 'active')), /refusal.*node undeploy/)
  }
  assert.equal(verb('available', 'available'), undefined)
  assert.deepEqual(
    nextVerb({ state: 'available', inspect: true }, { provision_state: 'manageable', inspection_finished_at: null }),
    {
      verb: 'inspect',
    },
  )
})

test('waves', () => {
  const waves = (canary?: number, wave?: number) => wavesOf([1, 2, 3, 4, 5], { canary, wave }).map(one => one.length)
  assert.deepEqual(
    [waves(), waves(1), waves(undefined, 2), waves(2, 2), waves(9)],
    [[5], [1, 4], [2, 2, 1], [2, 2, 1], [5]],
  )
  assert.deepEqual(wavesOf([], { canary: 1, wave: 1 }), [])
})
