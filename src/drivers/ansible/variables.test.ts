import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { testContext } from '../test-context.ts'
import { argumentsOf, readCleanSteps } from './clean-steps.ts'
import { ansibleSettings, checkAnsible, wordsOf } from './driver-info.ts'
import { asVariablesFile, rootDeviceHints } from './variables.ts'

/** YAML's readers know the tag only where Ansible has taught it to them. */
const tags = [{ tag: '!unsafe', resolve: (text: string) => ({ unsafe: text }) }]

test('no text of the variables is ever a template, whatever is in it', () => {
  const odd = ['{{ lookup("pipe", "id") }}', 'a"b\\c\n\t#: ', '\u2028\x85\ufeff', '!unsafe', '', 'ünï 🙂']
  const value = { a: odd, '{{ key }}': { deep: odd }, n: 1.5, no: null, yes: true, gone: undefined }
  const wrapped = odd.map(unsafe => ({ unsafe }))
  const read = parse(asVariablesFile(value), { customTags: tags as never }) // a tag of plain scalars
  assert.deepEqual(read, { a: wrapped, '{{ key }}': { deep: wrapped }, n: 1.5, no: null, yes: true })
})

test('root device hints are compared for equality alone', () => {
  const node = { uuid: 'u', properties: { root_device: { size: 10 } }, instance_info: {} }
  const withHints = (root_device: unknown) => rootDeviceHints({ ...node, instance_info: { root_device } } as never) // its fields
  assert.deepEqual(rootDeviceHints(node as never), { size: 10 }) // all fields that are read
  assert.deepEqual(withHints({ name: 's== /dev/sda', serial: 'X1', rotational: false }), {
    name: '/dev/sda',
    serial: 'X1',
    rotational: false,
  })
  for (const hint of ['>= 20', '<in> abc', 's!= x', '<or> a <or> b', '= 5']) {
    assert.throws(() => withHints({ size: hint }), /hint size of node u with Ansible: found the comparison/)
  }
  assert.throws(() => withHints('/dev/sda'), /expected an object/)
})

test('extra arguments are words as a shell parts them', () => {
  assert.deepEqual(wordsOf(`--timeout 30 -e 'a b'="c d" --x`), ['--timeout', '30', '-e', 'a b=c d', '--x'])
  assert.deepEqual(wordsOf('  '), [])
})

test('settings of the node go before those of the configuration, and playbooks are base names', async () => {
  const driver_info = { ansible_deploy_playbook: '../../etc/evil.yaml', ansible_username: 'me' }
  const config = { ansible: { default_clean_playbook: 'wash.yaml', playbooks_path: '/srv/plays', verbosity: 2 } }
  await using ctx = await testContext({ node: { driver_info }, config })
  const found = ansibleSettings(ctx)
  assert.deepEqual(found.playbooks, {
    deploy: '/srv/plays/evil.yaml',
    clean: '/srv/plays/wash.yaml',
    shutdown: '/srv/plays/shutdown.yaml',
  })
  assert.deepEqual([found.username, found.verbosity, found.isOwn], ['me', 2, false])
})

test('what this host lacks is named with the setting and the next thing to do', async () => {
  const fails = async (driver_info: Record<string, unknown>, ansible: Record<string, string>, expected: RegExp) => {
    await using ctx = await testContext({
      node: { driver_info },
      config: { ansible },
    })
    await assert.rejects(checkAnsible(ctx), expected)
  }
  const ansible = { ansible_playbook_script: '/bin/true' }
  await fails({}, { ansible_playbook_script: 'no-such-program' }, /no program no-such-program; install it/)
  await fails(
    { ansible_clean_playbook: 'x.yaml' },
    ansible,
    /clean playbook .*x\.yaml is not there.*ansible_clean_playbook/,
  )
  await fails({ ansible_key_file: '/nowhere/key' }, ansible, /private key \/nowhere\/key .*ansible_key_file/)
  await fails({ ansible_key_file: 'key' }, ansible, /expected an absolute path/)
  await fails({ ansible_username: 5 }, ansible, /ansible_username is a number, expected a text/)
  await using ctx = await testContext({ config: { ansible } })
  await checkAnsible(ctx)
})

test('clean steps are read from their file, ours first', async () => {
  const own = readCleanSteps(fileURLToPath(new URL('playbooks/clean_steps.yaml', import.meta.url)))
  assert.deepEqual(
    own.map(({ name, priority }) => [name, priority]),
    [
      ['erase_devices_metadata', 99],
      ['erase_devices', 10],
    ],
  )
  const [first] = own
  assert.ok(first)
  assert.deepEqual(argumentsOf(first, {}), { tags: ['zap'] })
  assert.deepEqual(argumentsOf(first, { tags: ['other'] }), { tags: ['other'] })
  assert.throws(() => argumentsOf({ name: 'x', args: { a: { required: true } } }, {}), /step x: it needs a/)

  const folder = await mkdtemp(join(tmpdir(), 'ferrite-clean-steps-'))
  const file = join(folder, 'steps.yaml')
  try {
    for (const [text, expected] of [
      ['- name: 5', /steps\.yaml .*\/0\/name/],
      ['[', /Cannot read the clean steps/],
      ['- name: a\n  interface: bios', /interface/],
    ] as const) {
      await writeFile(file, text)
      assert.throws(() => readCleanSteps(file), expected)
    }
    assert.throws(() => readCleanSteps(join(folder, 'none.yaml')), /none\.yaml .*ENOENT/)
  } finally {
    await rm(folder, { recursive: true })
  }
})
