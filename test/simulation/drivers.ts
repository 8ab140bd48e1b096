/**
 * The hardware type of a simulation: power and boot device of machines in this process, behind BMCs that are busy, slow,
 * cut off or wrong now and then. Everything else is the real thing: the agent's steps, the direct deploy interface, the
 * inspection.
 */
import type { Config } from '#config/options.ts'
import direct from '#drivers/agent/direct.ts'
import { prepareRamdisk } from '#drivers/agent/ramdisk.ts'
import { runAgentStep } from '#drivers/agent/steps.ts'
import type { ManagementInterface, PowerInterface } from '#drivers/bmc-interfaces.ts'
import type { BootInterface } from '#drivers/boot-interfaces.ts'
import {
  type DeployInterface,
  type FlowContext,
  HardwareFault,
  type HardwareType,
  type NodeContext,
} from '#drivers/driver.ts'
import fake from '#drivers/fake/index.ts'
import { generic } from '#drivers/generic/interfaces.ts'
import { knownHardwareTypes } from '#drivers/known.ts'
import { loadRegistry, type Registry } from '#drivers/registry.ts'
import type { Step } from '#drivers/step.ts'
import type { BootTarget } from '#lab/redfish/hardware.ts'
import type { Chance } from '#sim/chance.ts'
import type { SimMachine } from '#sim/machine.ts'
import type { Luck } from './faults.ts'
import type { Process } from './host.ts'
import type { Scripts } from './machines.ts'
import type { SimTime } from './time.ts'

export interface Site {
  time: SimTime
  chance: Chance
  luck: Luck
  scripts: Scripts
  machineOf(nodeUuid: string): SimMachine
  /** Told of every change that a conductor asks a machine for, as it is asked for and as it is carried out. */
  onRequest(process: Process, nodeUuid: string, flowId: number | undefined, what: string): void
  onChange(process: Process, nodeUuid: string, what: string): void
}

/** The drivers as one process has them. */
export async function registryFor(config: Config, site: Site, process: () => Process): Promise<Registry> {
  return loadRegistry(config, {
    ...knownHardwareTypes,
    simulated: async () => ({ default: hardwareType(site, process) }),
  })
}

function hardwareType(site: Site, process: () => Process): HardwareType {
  const only = <T>(implementation: T) => ({ simulated: async () => ({ default: implementation }) })
  return {
    name: 'simulated',
    driverInfo: {},
    interfaces: {
      ...fake.interfaces,
      ...generic,
      boot: only(bootOf(site, process)),
      deploy: only(deploy),
      management: only(managementOf(site, process)),
      power: only(powerOf(site, process)),
    },
  }
}

/** What a BMC does not answer now it may answer a little later. */
class BmcAway extends HardwareFault {
  override get mayPass(): boolean {
    return true
  }
}

/** The flow that asks, if one does. */
function flowOf(ctx: NodeContext | FlowContext): number | undefined {
  return 'flow' in ctx ? ctx.flow.id : undefined
}

/** A request to a BMC. */
async function asked<T>(site: Site, process: () => Process, ctx: NodeContext, work: () => T): Promise<T> {
  ctx.signal.throwIfAborted()
  const { time, chance, luck } = site
  return process().act(async () => {
    await time.sleep(chance.within([20, 1500]))
    if (luck.strikes('bmcBusy', chance)) throw new BmcAway('The BMC answered 503')
    const result = work()
    await time.sleep(chance.within([20, 1500]))
    if (luck.strikes('bmcCut', chance)) throw new BmcAway('The BMC broke the connection')
    return result
  })
}

function powerOf(site: Site, process: () => Process): PowerInterface {
  return {
    supported: ['power on', 'power off', 'rebooting'],
    validate: async () => {},
    get: ctx =>
      asked(site, process, ctx, () => {
        const now = site.machineOf(ctx.node.uuid).hardware.power()
        const state = now === 'On' || now === 'PoweringOff' ? 'power on' : 'power off'
        if (!site.luck.strikes('bmcLies', site.chance)) return state
        return state === 'power on' ? 'power off' : 'power on'
      }),
    set: async (ctx, target) => {
      ctx.signal.throwIfAborted()
      site.onRequest(process(), ctx.node.uuid, flowOf(ctx), target)
      return asked(site, process, ctx, () => {
        site.onChange(process(), ctx.node.uuid, target)
        if (site.luck.strikes('bmcIgnores', site.chance)) return
        const { hardware } = site.machineOf(ctx.node.uuid)
        if (target === 'power on') hardware.reset('On')
        else if (target === 'reset') hardware.reset('ForceRestart')
        else hardware.reset('ForceOff')
      })
    },
  }
}

function managementOf(site: Site, process: () => Process): ManagementInterface {
  const setBoot = async (ctx: NodeContext, target: BootTarget, persistent: boolean) => {
    ctx.signal.throwIfAborted()
    const what = `boot from ${target}`
    site.onRequest(process(), ctx.node.uuid, flowOf(ctx), what)
    return asked(site, process, ctx, () => {
      site.onChange(process(), ctx.node.uuid, what)
      void site.machineOf(ctx.node.uuid).hardware.setBoot({ target, enabled: persistent ? 'Continuous' : 'Once' })
    })
  }
  return {
    validate: async () => {},
    supportedBootDevices: async () => ['pxe', 'disk'],
    getBootDevice: async () => ({ boot_device: null, persistent: null }),
    setBootDevice: (ctx, device, { persistent }) => setBoot(ctx, device === 'pxe' ? 'Pxe' : 'Hdd', persistent),
    getBootMode: async () => 'uefi',
    setBootMode: async () => {},
    injectNmi: async () => {},
    getHealth: async () => 'OK',
    getVendor: async () => 'Ferrite',
    macAddresses: async ctx => site.machineOf(ctx.node.uuid).macs,
  }
}

/** Boot scripts in memory, in the form that the machines' firmware reads. */
function bootOf(site: Site, process: () => Process): BootInterface {
  const remove = (ctx: NodeContext) =>
    process().act(async () => {
      for (const mac of site.machineOf(ctx.node.uuid).macs) site.scripts.delete(mac)
    })
  return {
    validate: async () => {},
    async prepareRamdisk(ctx, { parameters }) {
      const [mac = ''] = site.machineOf(ctx.node.uuid).macs
      const words = Object.entries({ ...parameters, BOOTIF: mac }).map(([name, value]) => `${name}=${value}`)
      await process().act(async () => {
        site.scripts.set(mac, `kernel http://boot/kernel ${words.join(' ')}\ninitrd http://boot/ramdisk\nboot\n`)
      })
      await ctx.interfaces.management.setBootDevice(ctx, 'pxe', { persistent: false })
    },
    cleanUpRamdisk: remove,
    async prepareInstance(ctx) {
      await remove(ctx)
      await ctx.interfaces.management.setBootDevice(ctx, 'disk', { persistent: true })
    },
    cleanUpInstance: remove,
  }
}

/** The image is a name: fetching and converting are not what is simulated. */
const writeImage: Step = {
  interface: 'deploy',
  step: 'write_image',
  priority: 80,
  kinds: ['deploy'],
  async run(ctx) {
    await runAgentStep(ctx, 'deploy', 'write image', writeImage, async now => ({
      image_info: {
        id: String(now.node.instance_info.image_source),
        urls: [`http://images/${now.node.instance_info.image_source}`],
        disk_format: 'raw',
        container_format: 'bare',
        stream_raw_images: true,
        os_hash_algo: 'sha256',
        os_hash_value: '0'.repeat(64),
      },
    }))
  },
}

const deploy: DeployInterface = {
  ...direct,
  validate: async () => {},
  async prepare(ctx) {
    // What its first step asks for: whether a running ramdisk was found.
    await ctx.flow.once('fast track at prepare', async () => 'no')
    await prepareRamdisk(ctx, 'deploy')
  },
  steps: direct.steps.map(step => (step.step === 'write_image' ? writeImage : step)),
}
