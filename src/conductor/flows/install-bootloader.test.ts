/** After an image was written: what an agent is asked to make of the disk, and what becomes of a deployment then. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { issueToken, recordHeartbeat } from '#db/agents.ts'
import { makeBootable, noteBootMode } from '#drivers/agent/image-boot.ts'
import type { CommandError, CommandResult } from '#protocol/agent.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { Shared } from '../shared.ts'
import { addNode, caller, eventually, startEngine } from '../test-engine.ts'

const definition: FlowDefinition = {
  kind: 'deploy',
  async run(ctx) {
    await noteBootMode(ctx)
    await makeBootable(ctx)
    return 'done'
  },
}

type Params = Record<string, unknown>

/** An agent that wrote such a disk. @param refuse whether it knows no `target_boot_mode` */
async function agentWith(uuids: object, { refuse = false, error = null as CommandError | null } = {}) {
  const asked: Params[] = []
  const commands: CommandResult[] = []
  const server = createServer(async (request, response) => {
    const reply = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    const id = new URL(request.url ?? '', 'http://x').pathname.split('/')[3]
    if (request.method === 'GET' && !id) return reply(200, { commands })
    if (request.method === 'GET') {
      const found = commands.find(command => command.id === id)
      return reply(found ? 200 : 404, found ?? { faultstring: 'none' })
    }
    const { name, params } = (await new Response(request).json()) as { name: string; params: Params } // of our client
    const ended = { id: String(commands.length + 1), command_error: null, command_result: null }
    if (name === 'standby.get_partition_uuids') {
      const command_result = uuids
      return reply(200, { ...ended, command_name: 'get_partition_uuids', command_status: 'SUCCEEDED', command_result })
    }
    assert.equal(name, 'image.install_bootloader')
    asked.push(params)
    if (refuse && 'target_boot_mode' in params) return reply(400, { faultstring: 'target_boot_mode is not known' })
    commands.push({
      ...ended,
      command_name: 'install_bootloader',
      command_status: error ? 'FAILED' : 'SUCCEEDED',
      command_error: error,
    })
    return reply(200, { ...ended, command_name: 'install_bootloader', command_status: 'RUNNING' })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Runs the flow for a node of these fields; the BMC tells `bmcMode`. */
async function deployed(
  agent: { url: string },
  { bmcMode, ...fields }: { bmcMode: 'uefi' | 'bios' | null; [field: string]: unknown },
) {
  const { url } = agent
  const shared = new Shared()
  const context = {
    config: await loadConfig({ overrides: { ferrite: { poll_interval_ms: 50 } } }),
    agent: { url, verify_ca: null, token: 'x' },
    interfaces: { management: { getBootMode: async () => bmcMode } },
    shared: shared.get,
  }
  await using world = await startEngine(definition, { context })
  const uuid = await addNode(world.db, 'available', fields)
  await issueToken(world.db, uuid, { token: 'x', address: '192.0.2.1' })
  const beat = { url, version: '1', verify_ca: null, status: null, status_message: null, at: '' }
  await recordHeartbeat(world.db, uuid, 'x', beat)
  await world.engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
  await eventually('ends', async () => (await world.node(uuid)).lease === null)
  const node = await world.node(uuid)
  await shared.dispose()
  return node
}

const wholeDisk = { 'root uuid': '0x1badb002' }
const partition = {
  'root uuid': 'aaaa-1111',
  'efi system partition uuid': 'EEEE-2222',
  partitions: { root: '/dev/sda2', 'efi system partition': '/dev/sda1' },
}
const uefi = { capabilities: 'boot_mode:uefi' }
const bios = { capabilities: 'boot_mode:bios' }

const array = { logical_disks: [{ controller: 'software', raid_level: '1', size_gb: 'MAX' }] }
const named = { image_source: 'http://192.0.2.1/i', image_rootfs_uuid: 'cccc-3333' }

const cases: [what: string, uuids: object, node: Parameters<typeof deployed>[1], asked: Params | null][] = [
  ['a whole disk, BIOS', wholeDisk, { bmcMode: 'uefi', properties: bios }, null],
  [
    'a whole disk, UEFI as the BMC says',
    wholeDisk,
    { bmcMode: 'uefi' },
    { root_uuid: '0x1badb002', efi_system_part_uuid: null, prep_boot_part_uuid: null, target_boot_mode: 'uefi' },
  ],
  [
    'a whole disk that an agent of old cannot tell a root of, UEFI as configured',
    {},
    { bmcMode: null },
    { root_uuid: null, efi_system_part_uuid: null, prep_boot_part_uuid: null, target_boot_mode: 'uefi' },
  ],
  [
    'a partition image, UEFI',
    partition,
    { bmcMode: 'bios', properties: uefi },
    { root_uuid: 'aaaa-1111', efi_system_part_uuid: 'EEEE-2222', prep_boot_part_uuid: null, target_boot_mode: 'uefi' },
  ],
  [
    'a partition image, secure boot',
    partition,
    { bmcMode: 'bios', instance_info: { capabilities: { secure_boot: 'true' } } },
    { root_uuid: 'aaaa-1111', efi_system_part_uuid: 'EEEE-2222', prep_boot_part_uuid: null, target_boot_mode: 'uefi' },
  ],
  [
    'a partition image, POWER',
    { ...partition, 'efi system partition uuid': null, 'PReP Boot partition uuid': 'pppp-3' },
    { bmcMode: null, properties: bios },
    { root_uuid: 'aaaa-1111', efi_system_part_uuid: null, prep_boot_part_uuid: 'pppp-3', target_boot_mode: 'bios' },
  ],
  [
    'a whole disk on software RAID, BIOS, with the root file system that its owner names',
    wholeDisk,
    { bmcMode: 'bios', properties: bios, raid_config: array, instance_info: named },
    { root_uuid: 'cccc-3333', efi_system_part_uuid: null, prep_boot_part_uuid: null, target_boot_mode: 'bios' },
  ],
  [
    'a whole disk on software RAID that nobody keeps a record of, BIOS',
    wholeDisk,
    { bmcMode: 'bios', properties: bios, target_raid_config: array, instance_info: { image_source: 'file:///i' } },
    { root_uuid: '0x1badb002', efi_system_part_uuid: null, prep_boot_part_uuid: null, target_boot_mode: 'bios' },
  ],
]
for (const [what, uuids, node, expected] of cases) {
  test(what, async () => {
    await using agent = await agentWith(uuids)
    const { provision_state, last_error, driver_internal_info: internal } = await deployed(agent, node)
    assert.deepEqual([provision_state, last_error], ['active', null])
    assert.deepEqual(agent.asked, expected === null ? [] : [expected])
    assert.equal(internal.root_uuid_or_disk_id, (uuids as Params)['root uuid'] ?? null)
    if (expected !== null) assert.equal(internal.deploy_boot_mode, expected.target_boot_mode)
  })
}

test('an agent of old is asked without the boot mode', async () => {
  await using agent = await agentWith(partition, { refuse: true })
  const { provision_state } = await deployed(agent, { bmcMode: 'uefi' })
  assert.equal(provision_state, 'active')
  assert.deepEqual(
    agent.asked.map(params => Object.keys(params).includes('target_boot_mode')),
    [true, false],
  )
})

test("the agent's explanation becomes the node's error; a partition image without a root is one too", async () => {
  const error = { type: 'DeviceNotFound', code: 404, message: 'No device', details: 'it has no EFI system partition' }
  await using agent = await agentWith(wholeDisk, { error })
  const failed = await deployed(agent, { bmcMode: 'uefi' })
  assert.equal(failed.provision_state, 'deploy failed')
  assert.match(
    failed.last_error ?? '',
    /failed the installation of the boot loader: DeviceNotFound: it has no EFI system partition/,
  )
  await using rootless = await agentWith({ ...partition, 'root uuid': null })
  assert.match((await deployed(rootless, { bmcMode: 'uefi' })).last_error ?? '', /told no root UUID; expected one/)
})
