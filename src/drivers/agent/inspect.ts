/**
 * The `agent` inspect interface: a ramdisk posts what it found to continue_inspection, and the hooks turn that into
 * properties and ports. Either this service boots that ramdisk (managed boot), or, where it cannot and [inspector]
 * require_managed_boot lets it, the machine is only powered on: then somebody else's DHCP server starts the ramdisk.
 *
 * Source: inspection, hooks and [inspector] options (ironic/drivers/modules/inspector restated).
 */
import type { Config } from '#config/options.ts'
import { findFound, foundAt } from '#db/inspections.ts'
import { InvalidInput } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import { type FlowContext, type InspectInterface, type NodeContext, Unsupported } from '../driver.ts'
import { checkHooks, type HookList, runHooks } from '../inspection/hooks.ts'
import { addPort } from '../inspection/ports.ts'
import { bmcPatienceMs, patiently } from '../patience.ts'
import { plannedCycle, plannedOff, plannedStart } from '../planned-power.ts'
import { powerCycle, powerTo, startMachine } from '../power.ts'
import type { PowerChange } from '../step.ts'
import { awaitBoot, NoAgent } from './await-boot.ts'
import { keepInspectionLogs } from './collect-logs.ts'
import { wantsFastTrack } from './fast-track.ts'
import { forgetLookupAddresses, noteLookupAddresses } from './lookup-addresses.ts'
import { bootRamdisk, prepareRamdisk, removeRamdisk } from './ramdisk.ts'

const hooks = ({ inspector }: Config): HookList => ({ option: '[inspector] hooks', names: inspector.hooks })

async function validate(ctx: NodeContext): Promise<void> {
  wantsFastTrack(ctx)
  // A node without ports gets them from its BMC first; until then nothing can say what would boot.
  const { require_managed_boot, pre_create_ports } = ctx.config.inspector
  if (require_managed_boot && (ctx.ports.length > 0 || !pre_create_ports)) await ctx.interfaces.boot.validate(ctx)
}

async function inspect(ctx: FlowContext): Promise<void> {
  const { flow } = ctx
  await precreatePorts(ctx)
  const isManaged = await flow.once(managed, async () => canManageBoot(await ctx.fresh()))
  await flow.once('addresses of the BMC', async () => noteLookupAddresses(await ctx.fresh()))
  if (isManaged) await inspectManaged(ctx)
  else await inspectUnmanaged(ctx)
  await flow.once('forget addresses of the BMC', async () => forgetLookupAddresses(await ctx.fresh()))
}

/** Step that says who boots the ramdisk. */
const managed = 'boot is managed'

/** Can this service boot the ramdisk? @throws where it cannot, and has to */
async function canManageBoot(now: FlowContext): Promise<boolean> {
  try {
    await now.interfaces.boot.validate(now)
    return true
  } catch (error) {
    const isNo = error instanceof InvalidInput || error instanceof Unsupported
    if (!isNo || now.config.inspector.require_managed_boot) throw error
    now.log.info({ node: now.node.uuid }, `the ramdisk is left to somebody else to boot: ${error.message}`)
    return false
  }
}

async function inspectManaged(ctx: FlowContext): Promise<void> {
  const { flow, config } = ctx
  // On fast track the agent stays for the next flow, so it must know whom to call.
  const stays = wantsFastTrack(ctx)
  const parameters = kernelParameters(config, { stays })
  await prepareRamdisk(ctx, 'inspect', parameters)
  const since = await bootRamdisk(ctx, 'inspect')
  await awaitBoot(ctx, 'inspect', {
    name: 'inspection data',
    on: 'inspection data',
    everyMs: 30_000,
    since,
    timeoutS: config.conductor.inspect_wait_timeout,
    parameters,
    isThere: () => isFound(ctx, since),
  })
  await process(ctx)
  const powerOff = config.inspector.power_off && !stays
  await keepInspectionLogs(ctx, (await findFound(ctx.db, flow.nodeUuid))?.plugin_data.logs, { failed: false })
  await removeRamdisk(ctx, 'inspect', { powerOff, stays })
  if (powerOff && ctx.node.disable_power_off) await powerCycle(ctx, 'reboot after inspect')
}

function kernelParameters(config: Config, { stays }: { stays: boolean }): Record<string, string> {
  const extra = config.inspector.extra_kernel_params
    .split(/\s+/)
    .filter(Boolean)
    .map(pair => {
      const at = pair.indexOf('=')
      return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
    })
  return {
    'ipa-inspection-callback-url': `${config.ferrite.api_url.replace(/\/+$/, '')}/v1/continue_inspection`,
    // Where all interfaces come up, all can listen for their switches.
    ...(config.inspector.force_dhcp ? { 'ipa-collect-lldp': '1' } : {}),
    ...(stays ? { 'ipa-api-url': config.ferrite.api_url } : {}),
    ...Object.fromEntries(extra),
  }
}

/** Only the network can boot a ramdisk of somebody else. */
async function inspectUnmanaged(ctx: FlowContext): Promise<void> {
  const { flow, config, clock } = ctx
  const timeoutS = config.conductor.inspect_wait_timeout
  if (!ctx.node.disable_power_off) await powerTo(ctx, 'power off before inspect', 'power off')
  await flow.once('boot from the network', async () => {
    const now = await ctx.fresh()
    await patiently(now, bmcPatienceMs, () =>
      now.interfaces.management.setBootDevice(now, 'pxe', { persistent: false }),
    )
  })
  const since = await flow.once('boot inspect: at', async () => timestamp(clock.now()))
  await startMachine(ctx, 'boot inspect')
  const silent = `No inspection data came within ${timeoutS} s of power-on. This service does not boot the ramdisk ([inspector] require_managed_boot is off): look at what answers the machine's DHCP requests, and at the ipa-inspection-callback-url there`
  const wait = {
    on: ['inspection data'],
    everyMs: 30_000,
    timeoutMs: timeoutS * 1000,
    release: true,
    onTimeout: () => new NoAgent(silent),
  }
  await flow.until('inspection data', wait, async () => ((await isFound(ctx, since)) ? true : undefined))
  await process(ctx)
  await keepInspectionLogs(ctx, (await findFound(ctx.db, flow.nodeUuid))?.plugin_data.logs, { failed: false })
  if (config.inspector.power_off && !wantsFastTrack(ctx)) await stopMachine(ctx, 'after inspect')
}

/** One that must never be off is booted anew: its ramdisk is not to stay. */
async function stopMachine(ctx: FlowContext, when: string): Promise<void> {
  if (ctx.node.disable_power_off) await powerCycle(ctx, `reboot ${when}`)
  else await powerTo(ctx, `power off ${when}`, 'power off')
}

async function isFound({ db, flow }: FlowContext, since: string): Promise<boolean> {
  return ((await foundAt(db, flow.nodeUuid)) ?? '') >= since
}

/** Makes properties and ports of what a ramdisk posted. */
async function process(ctx: FlowContext): Promise<void> {
  await ctx.flow.once('hooks', async () => runHooks(await ctx.fresh(), hooks(ctx.config)))
}

/** Without a port no MAC address would boot: those the BMC knows become ports first. */
async function precreatePorts(ctx: FlowContext): Promise<void> {
  if (!ctx.config.inspector.pre_create_ports) return
  await ctx.flow.once('ports from the BMC', async () => {
    const now = await ctx.fresh()
    const { db, log, node, clock, ports } = now
    const missing = (await bmcAddresses(now)).filter(address => !ports.some(port => port.address === address))
    for (const address of missing) await addPort({ db, log }, node.uuid, { address }, clock.now())
    if (missing.length > 0) await now.portsChanged()
  })
}

async function bmcAddresses(now: FlowContext): Promise<readonly string[]> {
  try {
    return await now.interfaces.management.macAddresses(now)
  } catch (error) {
    if (error instanceof Unsupported) return []
    throw error
  }
}

async function plannedPower(ctx: NodeContext): Promise<readonly PowerChange[]> {
  const stays = wantsFastTrack(ctx) || !ctx.config.inspector.power_off
  const after = stays ? [] : ctx.node.disable_power_off ? plannedCycle(ctx) : plannedOff(ctx)
  return [...plannedOff(ctx), ...plannedStart(ctx), ...after]
}

async function cleanUp(ctx: FlowContext): Promise<void> {
  const { flow } = ctx
  await keepInspectionLogs(ctx, (await findFound(ctx.db, flow.nodeUuid))?.plugin_data.logs, { failed: true })
  await flow.once('forget addresses of the BMC after a failure', async () => forgetLookupAddresses(await ctx.fresh()))
  if (flow.recall<boolean>(managed) !== false) await removeRamdisk(ctx, 'inspect', { powerOff: true })
  else if (ctx.config.inspector.power_off) await stopMachine(ctx, 'after a failure')
}

export default {
  checkConfig: config => checkHooks(hooks(config), config),
  validate,
  plannedPower,
  inspect,
  process,
  cleanUp,
} satisfies InspectInterface
