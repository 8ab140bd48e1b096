/**
 * The generic hardware manager: fits every machine and knows only what all of them have in common. Each step lives in a
 * file of its own; here they are put together with their priorities.
 *
 * Source: openstack/ironic-python-agent `hardware.py` (names, priorities).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { AgentNode } from '#protocol/agent.ts'
import type { AgentContext } from '../context.ts'
import { bootcInstallStep } from '../image/bootc-step.ts'
import { writeImageStep } from '../image/write-image-step.ts'
import { type BlockDevice, listBlockDevices } from './block-devices.ts'
import { burnInSteps } from './burn-in/steps.ts'
import { eraseDevices, eraseDevicesExpress } from './erase-devices.ts'
import { eraseAllMetadata } from './erase-metadata.ts'
import { cleanNvramStep, erasePstoreStep } from './firmware-memory.ts'
import { injectFilesStep } from './inject-files.ts'
import { collectInventory } from './inventory.ts'
import type { HardwareManager, Step } from './manager.ts'
import { listNetworkInterfaces } from './network-interfaces.ts'
import { assembleFor, rootCandidates } from './raid/root-volume.ts'
import { raidSteps } from './raid/steps.ts'
import { chooseRootDevice, hintsOf } from './root-device.ts'
import { protectedDevices } from './skip-list.ts'
import { makeVlanInterfaces } from './vlan-interfaces.ts'

export function genericManager(context: AgentContext): HardwareManager {
  return {
    className: 'GenericHardwareManager',
    version: { name: 'generic_hardware_manager', version: '1.2' },
    steps: [...steps, injectFilesStep(context.options.injectFilesPriority)],
    evaluate: async () => 1,
    initialize,
    methods: {
      listHardwareInfo: () => collectInventory(context),
      listBlockDevices: async () => {
        await assembleFor(context.node, context.settings)
        return await listBlockDevices(context)
      },
      osInstallDevice: async node => chooseRootDevice(await candidates(node, context), hintsOf(node)),
      listMacAddresses: async () => (await listNetworkInterfaces()).map(({ mac_address }) => mac_address),
      fullSync: () => fullSync(context),
    },
  }
}

const steps: readonly Step[] = [
  {
    step: 'erase_devices_metadata',
    interface: 'deploy',
    offered: { clean: { priority: 99, abortable: true }, deploy: { priority: 0 } },
    run: async (_args, context) => await eraseAllMetadata(context),
  },
  {
    step: 'erase_devices',
    interface: 'deploy',
    offered: { clean: { priority: 10, abortable: true } },
    run: async (_args, context) => await eraseDevices(context),
  },
  {
    step: 'erase_devices_express',
    interface: 'deploy',
    offered: { clean: { priority: 0, abortable: true } },
    run: async (_args, context) => await eraseDevicesExpress(context),
  },
  erasePstoreStep,
  cleanNvramStep,
  ...raidSteps,
  ...burnInSteps,
  writeImageStep,
  bootcInstallStep,
]

/** Devices that may be written to: not those the operator protects, nor what the node's RAID excludes. */
async function candidates(node: AgentNode | null, context: AgentContext): Promise<BlockDevice[]> {
  await assembleFor(node, context.settings)
  const devices = await listBlockDevices(context)
  if (node === null) return devices
  const spared = await protectedDevices(node, devices)
  return await rootCandidates(
    node,
    devices.filter(({ name }) => !spared.has(name)),
  )
}

async function initialize(context: AgentContext): Promise<void> {
  if (context.settings.ownsMachine) await makeVlanInterfaces(context)
  await waitForDisks(context)
}

/** Disks of slow controllers appear late; a machine without any may still be inspected. */
async function waitForDisks(context: AgentContext): Promise<void> {
  const { options, log } = context
  for (let attempt = 1; attempt <= options.diskWaitAttempts; attempt++) {
    const disks = await listBlockDevices(context)
    if (disks.length > 0) return
    log.info(`No disk yet (attempt ${attempt} of ${options.diskWaitAttempts})`)
    if (attempt < options.diskWaitAttempts) await sleep(options.diskWaitPauseMs)
  }
  log.warn('No disk appeared; going on without')
}

/** Everything written is on the disks, and the kernel's copies of it are gone. */
async function fullSync(context: AgentContext): Promise<void> {
  await run('sync', [])
  if (context.settings.ownsMachine) await run('sh', ['-c', 'echo 3 > /proc/sys/vm/drop_caches']).catch(() => {})
  for (const { name } of await listBlockDevices(context)) {
    try {
      await run('blockdev', ['--flushbufs', name])
    } catch (error) {
      context.log.warn(`Flushing ${name}: ${messageOf(error)}`)
    }
  }
}
