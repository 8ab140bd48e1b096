import assert from 'node:assert/strict'
import { test } from 'node:test'
import { provisionStates, verbTarget } from '#protocol/states.ts'
import { bodyOf, checksumProblem, deployVerb, instanceInfoOf, losesInstance, noWish, stepsProblem } from './wish.ts'

const node = { name: 'rack1', provision_state: 'available' } as const

test('what is left empty is not set', () => {
  assert.deepEqual(instanceInfoOf(noWish), {})
  assert.deepEqual(bodyOf(noWish, node), { target: 'active' })
})

test('image, checksum and disk become entries of instance_info', () => {
  const info = (checksum: string) => {
    const wish = { ...noWish, source: ' http://h/i.raw ', format: 'raw', rootSerial: ' S1 ', checksum }
    return instanceInfoOf({ ...wish, templates: ['CUSTOM_A'] })
  }
  const common = {
    ...{ image_source: 'http://h/i.raw', image_disk_format: 'raw' },
    ...{ root_device: { serial: 'S1' }, traits: ['CUSTOM_A'] },
  }
  for (const [algorithm, digits] of [
    ['sha256', 64],
    ['sha512', 128],
  ] as const) {
    const sum = 'ab'.repeat(digits / 2)
    assert.deepEqual(info(` ${sum} `), { ...common, image_os_hash_algo: algorithm, image_os_hash_value: sum })
  }
  for (const sum of ['ab'.repeat(16), 'http://h/SHA256SUMS']) {
    assert.deepEqual(info(sum), { ...common, image_checksum: sum })
  }
})

test('checksums that are none are told', () => {
  for (const good of ['', ' ', 'ab'.repeat(16), 'AB'.repeat(32), 'ab'.repeat(64), 'https://h/sums', '/srv/sums']) {
    assert.equal(checksumProblem({ checksum: good }), undefined, good)
  }
  assert.match(checksumProblem({ checksum: 'xyz' }) ?? '', /hexadecimal/)
  assert.match(checksumProblem({ checksum: 'abc' }) ?? '', /Found 3 digits; expected 64/)
})

test('the config drive carries a host name, of the node itself where that is wanted, and user data', () => {
  const drive = (more: Partial<typeof noWish>, of: Parameters<typeof bodyOf>[1] = node) =>
    bodyOf({ ...noWish, ...more }, of).configdrive
  assert.deepEqual(drive({ hostName: 'web1' }), { meta_data: { hostname: 'web1', name: 'web1' } })
  assert.deepEqual(drive({ isNamedByNode: true, hostName: 'web1' }), {
    meta_data: { hostname: 'rack1', name: 'rack1' },
  })
  assert.deepEqual(drive({ userData: '#!/bin/sh' }), { meta_data: {}, user_data: '#!/bin/sh' })
  assert.equal(drive({ isNamedByNode: true }, { ...node, name: null }), undefined)
})

test('steps are a list of whole steps', () => {
  const step = { interface: 'deploy', step: 'erase_devices_metadata', args: {}, priority: 90 }
  const told = (steps: unknown) => stepsProblem({ steps: typeof steps === 'string' ? steps : JSON.stringify(steps) })
  for (const good of ['', '  ', [step], [step, step]]) assert.equal(told(good), undefined)
  assert.match(told('[') ?? '', /no JSON/)
  for (const wrong of [{}, [], '3']) assert.match(told(wrong) ?? '', /a list of one step/)
  for (const wrong of [null, 3, {}, { ...step, priority: 'high' }, { ...step, args: undefined }]) {
    assert.match(told([step, wrong]) ?? '', /^Step 2: /)
  }
  assert.deepEqual(bodyOf({ ...noWish, steps: JSON.stringify([step]) }, node).deploy_steps, [step])
})

test('a node gets an image by the verb that its state allows', () => {
  for (const provision_state of provisionStates) {
    const verb = deployVerb({ provision_state })
    assert.equal(
      verb !== undefined,
      Boolean(verbTarget(provision_state, 'active') ?? verbTarget(provision_state, 'rebuild')),
    )
    if (verb) assert.ok(verbTarget(provision_state, verb), provision_state)
  }
  assert.equal(deployVerb({ provision_state: 'active' }), 'rebuild')
  assert.equal(losesInstance({ provision_state: 'active' }), true)
  assert.equal(losesInstance({ provision_state: 'deploy failed' }), false)
})
