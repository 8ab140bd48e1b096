/**
 * The `agent` inspect interface with managed boot: the ramdisk boots, posts what it found to continue_inspection, and
 * the hooks turn that into properties and ports. What was posted is kept whole as the node's inventory.
 *
 * Source: inspection, hooks and [inspector] options (ironic/drivers/modules/inspector restated).
 */
import type { Config } from '#config/options.ts'
import { findFound, foundAt } from '#db/inspections.ts'
import { type FlowContext, type InspectInterface, type NodeContext, Unsupported } from '../driver.ts'
import { checkHooks, type HookList, runHooks } from '../inspection/hooks.ts'
import { addPort } from '../inspection/ports.ts'
import { awaitBoot } from './await-boot.ts'
import { keepInspectionLogs } from './collect-logs.ts'
import { wantsFastTrack } from './fast-track.ts'
import { bootRamdisk, prepareRamdisk, removeRamdisk } from './ramdisk.ts'

const hooks = ({ inspector }: Config): HookList => ({ option: '[inspector] hooks', names: inspector.hooks })

async function validate(ctx: NodeContext): Promise<void> {
  wantsFastTrack(ctx)
  // A node without ports gets them from its BMC first; until then nothing can say what would boot.
  if (ctx.ports.length > 0 || !ctx.config.inspector.pre_create_ports) await ctx.interfaces.boot.validate(ctx)
}

async function inspect(ctx: FlowContext): Promise<void> {
  const { flow, config } = ctx
  await precreatePorts(ctx)
  const callback = `${config.ferrite.api_url.replace(/\/+$/, '')}/v1/continue_inspection`
  const extra = Object.fromEntries(
    config.inspector.extra_kernel_params
      .split(/\s+/)
      .filter(Boolean)
      .map(pair => {
        const at = pair.indexOf('=')
        return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
      }),
  )
  // On fast track the agent stays for the next flow, so it must know whom to call.
  const stays = wantsFastTrack(ctx)
  const home = stays ? { 'ipa-api-url': config.ferrite.api_url } : {}
  const parameters = { 'ipa-inspection-callback-url': callback, ...home, ...extra }
  await prepareRamdisk(ctx, 'inspect', parameters)
  const since = await bootRamdisk(ctx, 'inspect')
  await awaitBoot(ctx, 'inspect', {
    name: 'inspection data',
    on: 'inspection data',
    everyMs: 30_000,
    since,
    timeoutS: config.conductor.inspect_wait_timeout,
    parameters,
    isThere: async () => ((await foundAt(ctx.db, flow.nodeUuid)) ?? '') >= since,
  })
  await flow.once('hooks', async () => runHooks(await ctx.fresh(), hooks(config)))
  await keepInspectionLogs(ctx, (await findFound(ctx.db, flow.nodeUuid))?.plugin_data.logs, { failed: false })
  await removeRamdisk(ctx, 'inspect', { powerOff: config.inspector.power_off && !stays, stays })
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

export default {
  checkConfig: config => checkHooks(hooks(config), config),
  validate,
  inspect,
  async cleanUp(ctx: FlowContext) {
    await keepInspectionLogs(ctx, (await findFound(ctx.db, ctx.flow.nodeUuid))?.plugin_data.logs, { failed: true })
    await removeRamdisk(ctx, 'inspect', { powerOff: true })
  },
} satisfies InspectInterface
