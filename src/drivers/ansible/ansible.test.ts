import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { FlowEngine } from '#conductor/engine.ts'
import type { FlowDefinition } from '#conductor/flow-definition.ts'
import { Shared } from '#conductor/shared.ts'
import { addNode, caller, engineOver, eventually, startEngine } from '#conductor/test-engine.ts'
import { loadConfig } from '#config/load.ts'
import { listHistoryRows } from '#db/history-rows.ts'
import { startFakeImageServer } from '#images/fake-image-server.ts'
import ansible from './ansible.ts'

const program = fileURLToPath(new URL('fake-ansible-playbook', import.meta.url))
const secret = 'c2VjcmV0LWNvbmZpZy1kcml2ZQ=='

/** Steps of the interface, one by one, as a deployment has them. */
const deploying = (...names: string[]): FlowDefinition => ({
  kind: 'deploy',
  async run(ctx) {
    for (const name of names) await ansible.steps.find(step => step.step === name)?.run(ctx, {})
    return 'done'
  },
})

/**
 * What became of a node whose playbooks do as they are told, and what ansible-playbook was given.
 * @param how `hang`: until the service is stopped; then another one goes on, with playbooks that are done
 */
async function deployed(how: string, definition: FlowDefinition) {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-ansible-'))
  const log = join(folder, 'log')
  const script = join(folder, 'program')
  const [mode, pids] = [join(folder, 'mode'), join(folder, 'pids')]
  await writeFile(mode, how)
  const variables = `FAKE_PLAYBOOK=$(cat ${mode}) FAKE_LOG=${log} FAKE_PIDS=${pids}`
  await writeFile(script, `#!/bin/sh\n${variables} exec ${program} "$@"\n`)
  await chmod(script, 0o755)
  await using images = await startFakeImageServer({ 'disk.raw': Buffer.alloc(4096) })
  const config = await loadConfig({
    overrides: {
      DEFAULT: { state_path: folder },
      ansible: { ansible_playbook_script: script, post_deploy_get_power_state_retry_interval: 0 },
      agent: { image_download_source: 'http' },
    },
  })
  const asked: string[] = []
  let power = 'power on'
  const interfaces = {
    power: {
      get: async () => power,
      async set(_: unknown, to: string) {
        power = to
      },
    },
    boot: {
      cleanUpRamdisk: async () => void asked.push('clean up ramdisk'),
      prepareInstance: async () => void asked.push('prepare instance'),
    },
    management: { getBootDevice: async () => ({ boot_device: 'disk', persistent: true }) },
  }
  const shared = new Shared()
  const agent = { url: 'https://[2001:db8::7]:9999', verify_ca: null, token: 'x' }
  const surroundings = { context: { config, agent, interfaces, shared: shared.get } }
  await using world = await startEngine(definition, surroundings)
  const uuid = await addNode(world.db, 'available', {
    instance_info: {
      image_source: `${images.url}/plain/disk.raw`,
      image_checksum: 'a'.repeat(64),
      image_disk_format: 'raw',
      configdrive: secret,
    },
  })
  await world.engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
  let second: FlowEngine | undefined
  if (how === 'hang') {
    await eventually('the playbook runs', async () => (await readFile(pids, 'utf8')).includes(' '))
    await world.engine.stop()
    await writeFile(mode, 'done')
    second = engineOver(world.db, definition, surroundings)
    await second.start()
  }
  await eventually('ends', async () => (await world.node(uuid)).provision_state !== 'deploying')
  await eventually('is free', async () => (await world.node(uuid)).lease === null)
  await second?.stop()
  const { provision_state, last_error } = await world.node(uuid)
  const page = { limit: 100, sortKey: 'id', descending: false }
  const { rows } = await listHistoryRows(world.db, uuid, page, { withSteps: true })
  const history = rows.map(row => [String(row.kind), JSON.parse(String(row.data))] as const)
  const given = await readFile(log, 'utf8')
  const left = await readdir(join(folder, 'ansible')).catch(() => [])
  await shared.dispose()
  await rm(folder, { recursive: true })
  return { uuid, provision_state, last_error, given, history, asked, left, power }
}

test('a playbook gets the image in a file, tells the history its tasks, and leaves nothing behind', async () => {
  const { uuid, provision_state, given, history, asked, left } = await deployed('done', deploying('write_image'))
  assert.equal(provision_state, 'active')
  const [args = '', variables = ''] = given.split('\n')
  assert.match(args, /playbooks\/deploy\.yaml -i .*\/inventory -e @.*\/variables\.yaml$/)
  assert.ok(variables.includes(`"name": !unsafe "${uuid}", "ip": !unsafe "2001:db8::7", "user": !unsafe "ansible"`))
  assert.ok(variables.includes(`"checksum": !unsafe "sha256:${'a'.repeat(64)}"`))
  assert.match(variables, /"configdrive": \{"type": !unsafe "file"/)
  assert.ok(!given.includes(secret), 'the config drive is in a file of its own')
  assert.deepEqual(asked, ['clean up ramdisk', 'prepare instance'])
  assert.deepEqual(left, [])
  const told = history.filter(([kind]) => kind.startsWith('playbook'))
  assert.deepEqual(
    told.map(([kind, data]) => [kind, data.playbook, data.task ?? data.tasks, data.error]),
    [
      ['playbook task', 'deploy.yaml', 'Write the image', undefined],
      ['playbook ended', 'deploy.yaml', { ok: 1 }, undefined],
    ],
  )
})

test('a playbook that fails ends the deployment with the task and its reason', async () => {
  const { provision_state, last_error, history, asked, left } = await deployed('fail', deploying('write_image'))
  assert.equal(provision_state, 'deploy failed')
  assert.match(last_error ?? '', /Playbook deploy\.yaml failed in task "Write the image": no space left/)
  const errors = history.filter(([kind]) => kind === 'playbook ended').map(([, data]) => data.error)
  assert.match(errors.join(), /no space left/)
  assert.deepEqual(asked, [])
  assert.deepEqual(left, [])
})

test('a service that ends in the middle of a playbook leaves the deployment to the next one, under a newer number', async () => {
  const { provision_state, given, asked } = await deployed('hang', deploying('write_image'))
  assert.equal(provision_state, 'active')
  const numbers = [...given.matchAll(/"run": (\d+)/g)].map(([, number]) => Number(number))
  assert.equal(numbers.length, 2)
  assert.ok(Number(numbers[0]) < Number(numbers[1]), `${numbers}`)
  assert.deepEqual(asked, ['clean up ramdisk', 'prepare instance'])
})

test('a machine that its playbook does not switch off is switched off by its BMC', async () => {
  for (const how of ['done', 'unreachable']) {
    const { provision_state, power, given } = await deployed(how, deploying('tear_down_agent'))
    assert.deepEqual([provision_state, power], ['active', 'power off'])
    assert.match(given, /shutdown\.yaml/)
  }
})
