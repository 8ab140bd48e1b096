/**
 * The `agent` inspect interface with managed boot: the ramdisk boots, posts what it found to continue_inspection, and
 * the hooks turn that into properties and ports. What was posted is kept whole as the node's inventory.
 *
 * Source: inspection, hooks and [inspector] options (ironic/drivers/modules/inspector restated).
 */
import { findFound, foundAt } from '#db/inspections.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { InspectionData } from '#protocol/agent.ts'
import type { FlowContext, InspectInterface, NodeContext } from '../driver.ts'
import { awaitBoot } from './await-boot.ts'
import { wantsFastTrack } from './fast-track.ts'
import { portsFrom, propertiesFrom, refuseRamdiskError, usableInterfaces } from './inspect-hooks.ts'
import { bootRamdisk, prepareRamdisk, removeRamdisk } from './ramdisk.ts'

async function validate(ctx: NodeContext): Promise<void> {
  wantsFastTrack(ctx)
  // A node without ports gets them from its BMC first; until then nothing can say what would boot.
  if (ctx.ports.length > 0 || !ctx.config.inspector.pre_create_ports) await ctx.interfaces.boot.validate(ctx)
  for (const hook of ctx.config.inspector.hooks) {
    if (known.has(hook)) continue
    throw new InvalidInput(`[inspector] hooks names "${hook}"; expected some of ${[...known].join(', ')}`)
  }
}

const known = new Set(['ramdisk-error', 'validate-interfaces', 'ports', 'architecture', 'memory', 'root-disk'])

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
  await flow.once('apply', () => apply(ctx))
  await removeRamdisk(ctx, 'inspect', { powerOff: config.inspector.power_off && !stays, stays })
}

/** Without any port no MAC address would boot: those the BMC knows become ports first. */
async function precreatePorts(ctx: FlowContext): Promise<void> {
  if (!ctx.config.inspector.pre_create_ports) return
  await ctx.flow.once('ports from the BMC', async () => {
    const now = await ctx.fresh()
    if (now.ports.length > 0) return
    const addresses = await now.interfaces.management.macAddresses(now)
    await portsFrom(
      now,
      addresses.map(address => ({ address, pxe: true })),
      { keep: 'all' },
    )
    await now.portsChanged()
  })
}

/** Runs the hooks over what the ramdisk posted. Asks for states only, so it may run twice. */
async function apply(ctx: FlowContext): Promise<void> {
  const now = await ctx.fresh()
  const { hooks, add_ports, keep_ports } = now.config.inspector
  const found = await findFound(now.db, now.node.uuid)
  const data = { ...found?.plugin_data, inventory: found?.inventory } as unknown as InspectionData // checked when it was posted
  if (hooks.includes('ramdisk-error')) refuseRamdiskError(data)
  const interfaces = usableInterfaces(data)
  if (hooks.includes('validate-interfaces') && interfaces.length === 0) {
    throw new InvalidInput(
      'Inspection found no network interface with a valid MAC address, so the node could never boot',
    )
  }
  if (hooks.includes('ports')) {
    const wanted = interfaces.filter(
      found => add_ports === 'all' || (add_ports === 'active' ? found.active : add_ports === 'pxe' ? found.pxe : false),
    )
    // No interface is marked as the one that booted: then any with an address may be.
    const chosen = wanted.length > 0 || add_ports === 'disabled' ? wanted : interfaces.filter(found => found.active)
    await portsFrom(now, chosen, { keep: keep_ports, present: interfaces.map(found => found.address) })
  }
  await now.portsChanged()
  await ctx.flow.write({ properties: propertiesFrom(now.node.properties, data, hooks) })
}

export default {
  validate,
  inspect,
  cleanUp: (ctx: FlowContext) => removeRamdisk(ctx, 'inspect', { powerOff: true }),
} satisfies InspectInterface
