/**
 * Nodes in a real Ironic, led there by its own API: in every state that rests and that a driver without
 * machines comes to, with ports, port groups, volumes, traits, allocations and secrets, and things beside them.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Api } from '#cli/client.ts'
import type { Item } from '#cli/command.ts'

/** What the API of an Ironic can lead a node to, and what else there is. */
const courses = {
  enroll: [],
  manageable: ['manage'],
  available: ['manage', 'provide'],
  active: ['manage', 'provide', 'active'],
  rescue: ['manage', 'provide', 'active', 'rescue'],
  'clean failed': ['manage', 'clean'],
} as const
type State = keyof typeof courses

/** Mostly instances, as in real fleets. */
const shares: readonly State[] = [
  ...(['active', 'active', 'active', 'active', 'available', 'available', 'manageable'] as const),
  ...(['enroll', 'rescue', 'clean failed'] as const),
]

export interface MadeNode {
  readonly uuid: string
  readonly name: string
  readonly state: State
  /** What its Ironic masks. */
  readonly secrets: Readonly<Record<string, Item>>
}

export async function makeFleet(endpoint: string, nodeCount: number): Promise<MadeNode[]> {
  const api = clientOf(endpoint)
  const chassis = String((await api.create('/v1/chassis', { description: 'row 7', extra: { room: 2 } })).uuid)
  for (const name of ['CUSTOM_FAST', 'CUSTOM_QUIET']) {
    const steps = [{ interface: 'bios', step: 'apply_configuration', args: { settings: [] }, priority: 150 }]
    await api.create('/v1/deploy_templates', { name, steps, extra: { of: 'us' } })
  }
  const made: MadeNode[] = []
  for (let number = 0; number < nodeCount; number++) made.push(await makeNode(api, number, chassis))
  return made
}

async function makeNode(api: Api, number: number, chassis: string): Promise<MadeNode> {
  const state = shares[number % shares.length] ?? 'enroll'
  const name = `machine-${number}`
  // Nothing of these may ever be reached: they stay where nobody looks at machines.
  const redfish = state === 'enroll' && number % 20 === 7
  const password = `pass-${number}`
  const driver_info = redfish
    ? { redfish_address: 'https://192.0.2.1', redfish_username: 'root', redfish_password: password }
    : { fake_address: `192.0.2.${number}`, fake_password: password, deploy_kernel: 'http://images.example/k' }
  const node = await api.create('/v1/nodes', {
    ...{ name, driver: redfish ? 'redfish' : 'fake-hardware', driver_info, resource_class: `class-${number % 3}` },
    ...(redfish ? {} : fakeInterfaces),
    ...{ properties: { cpus: 8, memory_mb: 4096, cpu_arch: 'x86_64', capabilities: 'boot_mode:uefi' } },
    ...{ extra: { rack: number % 7, 'a/b': [1, null] }, description: `number ${number}` },
    ...(number % 2 === 0 ? { chassis_uuid: chassis } : {}),
    ...(number % 5 === 0 ? { lessee: 'project-b', automated_clean: false } : {}),
  })
  const uuid = String(node.uuid)
  const path = `/v1/nodes/${uuid}`
  // Without authentication it takes no owner while it makes a node.
  if (number % 5 === 0) await api.patch(path, [{ op: 'add', path: '/owner', value: 'project-a' }])
  const mac = (part: number) =>
    `52:54:0${part}:00:${(number >> 8).toString(16)}0:${(number & 255).toString(16).padStart(2, '0')}`
  const grouped = number % 4 === 0
  const group = grouped
    ? String((await api.create('/v1/portgroups', { node_uuid: uuid, name: `bond-${number}`, mode: '802.3ad' })).uuid)
    : null
  await api.create('/v1/ports', {
    ...{ node_uuid: uuid, address: mac(0), extra: { slot: 1 }, physical_network: 'lan' },
    ...(group === null ? {} : { portgroup_uuid: group }),
  })
  await api.create('/v1/ports', { node_uuid: uuid, address: mac(1), pxe_enabled: group !== null, is_smartnic: false })
  if (number % 10 === 1) {
    await api.create('/v1/volume/connectors', { node_uuid: uuid, type: 'iqn', connector_id: `iqn.2026:${number}` })
    const target = { node_uuid: uuid, volume_type: 'iscsi', boot_index: 0, volume_id: `volume-${number}` }
    await api.create('/v1/volume/targets', { ...target, properties: { target_lun: 1, target_iqn: 'iqn.a' } })
  }
  if (number % 3 === 0) await api.put(`${path}/traits`, { traits: ['CUSTOM_FAST', 'HW_CPU_X86_VMX'] })
  await lead(api, path, courses[state], number)
  await finish(api, uuid, state, number)
  const drive = state === 'active' || state === 'rescue' ? { configdrive: driveOf(number) } : {}
  return {
    uuid,
    name,
    state,
    secrets: { driver_info: secretOf(redfish, password), instance_info: { ...drive, ...rescue(state) } },
  }
}

const rescue = (state: State): Item =>
  state === 'rescue' ? { rescue_password: 'rescue-me', hashed_rescue_password: 'unknown' } : {}

function secretOf(redfish: boolean, password: string): Item {
  return redfish ? { redfish_password: password } : { fake_password: password }
}

const fakeInterfaces = {
  ...{ boot_interface: 'fake', deploy_interface: 'fake', bios_interface: 'no-bios', rescue_interface: 'fake' },
  ...{ raid_interface: 'no-raid', console_interface: 'no-console', vendor_interface: 'no-vendor' },
}

/** A gzipped and coded ISO is not looked into by an Ironic. */
const driveOf = (number: number) => Buffer.from(`drive ${number}`).toString('base64')

/** Verbs one after the other, each until nothing is under way. */
async function lead(api: Api, path: string, verbs: readonly string[], number: number): Promise<void> {
  for (const verb of verbs) {
    if (verb === 'active') {
      await api.patch(path, [
        {
          op: 'add',
          path: '/instance_info',
          value: { image_source: 'http://images.example/a.raw', image_checksum: 'a'.repeat(32) },
        },
      ])
    }
    await api.put(`${path}/states/provision`, {
      target: verb,
      ...(verb === 'active' ? { configdrive: driveOf(number) } : {}),
      ...(verb === 'rescue' ? { rescue_password: 'rescue-me' } : {}),
      // No such step: the cleaning fails before a machine were needed.
      ...(verb === 'clean' ? { clean_steps: [{ interface: 'deploy', step: 'nothing_like_it' }] } : {}),
    })
    await settled(api, path)
  }
}

async function settled(api: Api, path: string): Promise<void> {
  const limit = performance.now() + 120_000
  for (;;) {
    const { provision_state, target_provision_state, reservation } = await api.get(path)
    const rests = target_provision_state === null || String(provision_state).endsWith(' failed')
    if (rests && reservation === null) return
    if (performance.now() > limit) throw new Error(`${path} stays in ${String(provision_state)}`)
    await sleep(100)
  }
}

/** What only nodes that have arrived may have. */
async function finish(api: Api, uuid: string, state: State, number: number): Promise<void> {
  const path = `/v1/nodes/${uuid}`
  if (state === 'active' && number % 20 === 0) {
    await api.create('/v1/allocations', { node: uuid, name: `wish-${number}`, resource_class: `class-${number % 3}` })
  } else if (state === 'active') {
    await api.patch(path, [{ op: 'add', path: '/instance_uuid', value: crypto.randomUUID() }])
  }
  if (state === 'active' && number % 10 === 1) {
    await api.patch(path, [
      { op: 'add', path: '/protected', value: true },
      { op: 'add', path: '/protected_reason', value: 'production' },
    ])
  }
  if (state === 'manageable' && number % 20 === 6) {
    await api.patch(path, [
      { op: 'add', path: '/retired', value: true },
      { op: 'add', path: '/retired_reason', value: 'old' },
    ])
  }
  if (number % 9 === 0 && state !== 'clean failed')
    await api.put(`${path}/maintenance`, { reason: `disk of ${number}` })
}

export function clientOf(endpoint: string): Api {
  return new Api({
    ...{ endpoint, version: 'latest', headers: {}, tls: {}, timeoutMs: 300_000 },
    ...{ maxRetries: 30, retryIntervalMs: 200, sleep: (ms: number) => sleep(ms) },
    notice() {},
  })
}
