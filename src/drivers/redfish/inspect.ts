/**
 * The `redfish` inspect interface: asks the BMC what the machine is, without booting anything. Power stays as it is; some
 * firmware tells of network cards and disks only while the machine is on.
 *
 * Source: Ironic ironic/drivers/modules/redfish/inspect.py (behaviour restated).
 */
import type { Config } from '#config/options.ts'
import { writeFound } from '#db/inspections.ts'
import { capabilitiesOf } from '#protocol/capabilities.ts'
import { timestamp } from '#protocol/field.ts'
import type { FlowContext, InspectInterface } from '../driver.ts'
import { setCapabilities } from '../inspection/facts.ts'
import { InspectionFailed } from '../inspection/hook.ts'
import { checkHooks, type HookList, runHooks } from '../inspection/hooks.ts'
import { bmcPatienceMs, patiently } from '../patience.ts'
import { validateDriverInfo } from './driver-info.ts'
import { inspectSystem } from './inspect-system.ts'

const hooks = ({ redfish }: Config): HookList => ({
  option: '[redfish] inspection_hooks',
  names: redfish.inspection_hooks,
})

/** What schedulers and deployments ask of a node. */
const essential = ['memory_mb', 'local_gb', 'cpu_arch'] as const

async function inspect(ctx: FlowContext): Promise<void> {
  const { flow } = ctx
  await flow.once('ask the BMC', async () => ask(await ctx.fresh()))
  await flow.once('hooks', async () => runHooks(await ctx.fresh(), hooks(ctx.config)))
  await flow.once('essential properties', async () => {
    const { properties } = await flow.node()
    const missing = essential.filter(name => properties[name] === undefined)
    if (missing.length === 0) return
    throw new InspectionFailed(
      `The BMC of node ${flow.nodeUuid} does not tell ${missing.join(', ')}; expected properties to have them, set by hand`,
    )
  })
}

async function ask(now: FlowContext): Promise<void> {
  const { flow, db, clock, node, log } = now
  const found = await patiently(now, bmcPatienceMs, () => inspectSystem(now))
  await writeFound(db, node.uuid, { inventory: found.inventory, plugin_data: found.pluginData }, timestamp(clock.now()))
  if (found.localGb === 0) log.warn({ node: node.uuid }, 'the BMC tells of no disk that holds a system')
  const properties: Record<string, unknown> = {
    ...node.properties,
    local_gb: found.localGb,
    ...(found.memoryMb === undefined ? {} : { memory_mb: found.memoryMb }),
  }
  const isSet = 'boot_mode' in capabilitiesOf(properties.capabilities)
  if (found.bootMode !== undefined && !isSet) setCapabilities(properties, { boot_mode: found.bootMode })
  await flow.write({
    properties,
    ...(found.bootMode === undefined ? {} : { boot_mode: found.bootMode }),
    ...(found.secureBoot === undefined ? {} : { secure_boot: found.secureBoot }),
  })
}

export default {
  checkConfig: config => checkHooks(hooks(config), config),
  validate: validateDriverInfo,
  inspect,
  // Nothing was booted and nothing was switched.
  cleanUp: async () => {},
} satisfies InspectInterface
