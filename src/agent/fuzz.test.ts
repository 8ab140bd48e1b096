import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { Value } from 'typebox/value'
import { CommandList, CommandResult } from '#protocol/agent.ts'
import { bundleAgent } from '#ramdisk/agent-bundle.ts'
import { type AgentProcess, type Reply, startAgent } from './agent-process.ts'
import { type FakeIronic, startFakeIronic } from './fake-ironic.ts'
import { type FakePrograms, fakePrograms } from './fake-programs.ts'

const dir = mkdtempSync(join(tmpdir(), 'ferrite-fuzz-'))
const bundle = join(dir, 'agent.mjs')
/** `npm run fuzz` says how many requests and from which seed; a test is over after some seconds. */
const { FUZZ_RUNS, FUZZ_SEED } = process.env
const search =
  FUZZ_RUNS === undefined
    ? { numRuns: 20_000, interruptAfterTimeLimit: 4_000, markInterruptAsFailure: false }
    : { numRuns: Number(FUZZ_RUNS), seed: Number(FUZZ_SEED) }
/** How long one command may take before it counts as hanging. */
const hangsAfterMs = 60_000

let ironic: FakeIronic
let agent: AgentProcess
let fakes: FakePrograms
before(async () => {
  fakes = await fakePrograms()
  // What changes the machine that the tests run on, or takes a day: the agent sees no disk, but has all its steps.
  for (const name of ['efibootmgr', 'stress-ng', 'fio', 'smartctl', 'mdadm', 'hdparm', 'nvme', 'podman', 'chroot']) {
    fakes.add(name, () => '')
  }
  await bundleAgent({ outFile: bundle })
  ironic = await startFakeIronic()
  const flags = ['--pstore-dir', join(dir, 'pstore'), '--reboot-command', 'false', '--power-off-command', 'false']
  agent = startAgent(bundle, ironic, { flags })
  await ironic.heartbeat(1)
})
after(async () => {
  await agent.remove()
  await ironic.close()
  await fakes.remove()
  rmSync(dirname(bundle), { recursive: true })
})

/** All but those that end the API: lockdown and finalize_rescue. */
const commands = [
  ...['clean', 'deploy', 'service'].flatMap(kind => [`${kind}.get_${kind}_steps`, `${kind}.execute_${kind}_step`]),
  ...['prepare_image', 'get_partition_uuids', 'sync', 'execute_bootc_install'].map(name => `standby.${name}`),
  ...[
    'image.install_bootloader',
    'poll.get_hardware_info',
    'poll.set_node_info',
    'flow.start_flow',
    'toString',
    'a.b.c',
  ],
]
const steps = [
  ...['erase_devices', 'erase_devices_metadata', 'erase_devices_express', 'erase_pstore', 'clean_uefi_nvram'],
  ...['create_configuration', 'delete_configuration', 'apply_configuration', 'write_image', 'execute_bootc_install'],
  ...['burnin_cpu', 'burnin_memory', 'burnin_disk', 'burnin_network', 'burnin_gpu', 'constructor', '__proto__'],
]
const keys = [
  ...['node', 'ports', 'step', 'clean_version', 'image_info', 'configdrive', 'root_uuid', 'flow', 'image_source'],
  ...['raid_config', 'delete_existing', 'match_patterns', 'efi_system_part_uuid', 'target_boot_mode', '__proto__'],
]

const anything = fc.jsonValue({ maxDepth: 3 })
const object = (...names: string[]) => fc.dictionary(fc.constantFrom(...names), anything, { maxKeys: 4 })
const logicalDisk = object('raid_level', 'size_gb', 'controller', 'volume_name', 'physical_disks', 'is_root_volume')
const raidConfig = fc.oneof(anything, fc.record({ logical_disks: fc.array(logicalDisk, { maxLength: 3 }) }))
const properties = fc.oneof(object('root_device', 'skip_block_devices', 'capabilities'), object('skip_block_devices'))
const node = fc.oneof(
  { weight: 1, arbitrary: anything },
  {
    weight: 4,
    arbitrary: fc.record(
      {
        uuid: fc.uuid(),
        properties,
        instance_info: object('root_device', 'capabilities', 'image_type'),
        driver_info: object('agent_burnin_cpu_timeout', 'agent_burnin_fio_network_config', 'wipe_special_filesystems'),
        driver_internal_info: object('agent_erase_devices_iterations', 'disk_erasure_concurrency'),
        target_raid_config: raidConfig,
        raid_config: raidConfig,
      },
      { requiredKeys: ['uuid'] },
    ),
  },
)
const stepOf = fc.record({
  step: fc.constantFrom(...steps),
  interface: fc.constantFrom('deploy', 'raid', 'x'),
  args: fc.oneof(anything, object(...keys), fc.record({ raid_config: raidConfig })),
})
const command = fc.oneof(
  fc.record({ name: fc.constantFrom(...commands), params: object(...keys) }),
  fc.record({
    name: fc.constantFrom('clean.execute_clean_step', 'deploy.execute_deploy_step', 'service.execute_service_step'),
    params: fc.record({ step: fc.oneof(stepOf, anything), node, ports: fc.oneof(fc.constant([]), anything) }),
  }),
  fc.record({
    name: fc.constant('standby.prepare_image'),
    params: fc.record({
      image_info: object('id', 'urls', 'checksum', 'os_hash_algo', 'os_hash_value', 'disk_format', 'ferrite_chunked'),
      configdrive: anything,
    }),
  }),
  fc.record({ name: fc.string(), params: anything }),
)
const body = fc.oneof(
  { weight: 6, arbitrary: command.map(one => JSON.stringify(one)) },
  { weight: 1, arbitrary: anything.map(one => JSON.stringify(one)) },
  { weight: 1, arbitrary: fc.string() },
)

async function post(text: string): Promise<Reply> {
  return await agent.call('POST', '/v1/commands/', { body: text })
}

/** What conductors can live with, and never the answer of a fault that nobody thought of. */
function assertAnswer({ status, body: answer }: Reply, sent: string): void {
  const said = `${status} ${JSON.stringify(answer)?.slice(0, 300)} to ${sent.slice(0, 300)}`
  if (status === 200) {
    assert.ok(Value.Check(CommandResult, answer), said)
    return
  }
  assert.ok([400, 404, 409].includes(status), said)
  assert.equal(typeof answer.faultstring, 'string', said)
}

async function settled(sent: string): Promise<void> {
  const endAt = performance.now() + hangsAfterMs
  for (;;) {
    const { status, body: list } = await agent.call('GET', '/v1/commands/')
    assert.ok(status === 200 && Value.Check(CommandList, list), `the list is broken after ${sent.slice(0, 300)}`)
    const last = list.commands.at(-1)
    if (last?.command_status !== 'RUNNING') return
    assert.ok(performance.now() < endAt, `still running after ${hangsAfterMs} ms: ${sent.slice(0, 300)}`)
    await sleep(5)
  }
}

test('no request that a client can think of crashes the agent, hangs it, or breaks its list of commands', async t => {
  let sent = 0
  await fc.assert(
    fc.asyncProperty(body, async text => {
      assertAnswer(await post(text), text)
      sent++
      await settled(text)
    }),
    search,
  )
  t.diagnostic(`${sent} requests`)
  assert.ok(sent > 20, `${sent} requests`)
  assert.equal((await agent.call('GET', '/v1/status')).status, 200)
  assert.equal(agent.output().match(/Ferrite agent .* starts/g)?.length, 1)
})

test('bodies that are bent on purpose', async () => {
  const deep = 20_000
  for (const text of [
    '',
    '\u0000',
    '"\ud800"',
    '1e999999',
    `${'['.repeat(deep)}${']'.repeat(deep)}`,
    `{"name":"standby.sync","params":${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}}`,
    `{"name":"clean.get_clean_steps","params":{"node":{"uuid":"u","properties":${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}}}}`,
    `{"name":"flow.start_flow","params":{"flow":[${Array(2_000).fill('{"standby.get_partition_uuids":{}}').join()}]}}`,
    '{"name":"flow.start_flow","params":{"flow":[{"flow.start_flow":{"flow":[{"nothing.at_all":{}}]}}]}}',
    '{"__proto__":{"name":"standby.sync"},"params":{}}',
    '{"name":"__proto__.toString","params":{}}',
    `{"name":"${'x'.repeat(1_000_000)}.y","params":{}}`,
  ]) {
    assertAnswer(await post(text), text)
    await settled(text)
  }
})
