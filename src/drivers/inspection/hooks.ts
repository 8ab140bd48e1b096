/**
 * The inspection hooks that there are, and how a list of them runs. A list that names one that is not there, or one
 * before what it needs, is refused when the service starts.
 *
 * Source: Ironic ironic/drivers/modules/inspect_utils.py, run_inspection_hooks (behaviour restated).
 */

import { isDeepStrictEqual } from 'node:util'
import type { Config } from '#config/options.ts'
import { takeFound, writeFound } from '#db/inspections.ts'
import { findInventory } from '#db/nodes.ts'
import { portsOf } from '#db/ports.ts'
import { closest } from '#lib/closest.ts'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'
import type { FlowContext } from '../driver.ts'
import { accelerators } from './accelerators.ts'
import { raidDevice, rootDevice } from './disks.ts'
import { extraHardware } from './extra-hardware.ts'
import { architecture, bootMode, cpuCapabilities, cpus, memory, pciDevices, ramdiskError } from './facts.ts'
import { type Hook, type HookContext, InspectionFailed, objectIn } from './hook.ts'
import { localLinkConnection, parseLldpHook } from './lldp.ts'
import { validateInterfaces } from './network-interfaces.ts'
import { physicalNetwork } from './physical-network.ts'
import { ports } from './ports.ts'

const known: Readonly<Record<string, Hook>> = {
  'ramdisk-error': ramdiskError,
  'validate-interfaces': validateInterfaces,
  ports,
  architecture,
  accelerators,
  'boot-mode': bootMode,
  'cpu-capabilities': cpuCapabilities,
  cpus,
  'extra-hardware': extraHardware,
  'local-link-connection': localLinkConnection,
  memory,
  'parse-lldp': parseLldpHook,
  'pci-devices': pciDevices,
  'physical-network': physicalNetwork,
  'raid-device': raidDevice,
  'root-device': rootDevice,
}

export const hookNames: readonly string[] = Object.keys(known)

/** A list of names and the option that it is from. */
export interface HookList {
  readonly option: string
  readonly names: readonly string[]
}

/** @throws InvalidInput naming the option, the hook and what is expected */
export function checkHooks({ option, names }: HookList, config: Config): void {
  for (const [at, name] of names.entries()) {
    const hook = Object.hasOwn(known, name) ? known[name] : undefined
    if (!hook) {
      const near = closest(name, Object.keys(known))
      const hint = near === undefined ? '' : ` (did you mean ${near}?)`
      throw new InvalidInput(
        `Cannot use ${option}: there is no inspection hook "${name}"${hint}, expected some of ${Object.keys(known).join(', ')}`,
      )
    }
    const missing = hook.needs?.filter(one => !names.slice(0, at).includes(one)) ?? []
    if (missing.length > 0) {
      throw new InvalidInput(`Cannot use ${option}: the hook ${name} needs ${missing.join(', ')} before it in the list`)
    }
    hook.checkConfig?.(config)
  }
}

/**
 * Makes of what was found what the hooks make of it, inside a step of a flow: properties, ports, plugin data.
 * @throws InspectionFailed naming the hooks that failed; InvalidInput
 */
export async function runHooks(ctx: FlowContext, { names }: HookList): Promise<void> {
  const { db, node } = ctx
  const found = await takeFound(db, node.uuid)
  if (!found) throw new InspectionFailed(`Nothing was found of node ${node.uuid}`)
  const of: HookContext = {
    ctx,
    inventory: found.inventory,
    pluginData: found.plugin_data,
    properties: { ...node.properties },
    ports: () => portsOf(db, node.uuid),
    async previous() {
      const kept = await findInventory(db, node.uuid)
      return kept && objectIn(kept.inventory)
    },
  }
  const hooks = names.map(name => [name, known[name]!] as const) // as checkHooks() saw to
  preprocess(hooks, of)
  for (const [name, hook] of hooks) {
    try {
      await hook.run?.(of)
    } catch (error) {
      throw failed(error, [name, error])
    }
  }
  await writeFound(db, node.uuid, { inventory: found.inventory, plugin_data: of.pluginData }, found.found_at)
  if (!isDeepStrictEqual(of.properties, node.properties)) await ctx.flow.write({ properties: of.properties })
  await ctx.portsChanged()
}

/** All of them, whatever the others say: one look at last_error is to tell everything. */
function preprocess(hooks: readonly (readonly [string, Hook])[], of: HookContext): void {
  const failures: [string, unknown][] = []
  for (const [name, hook] of hooks) {
    try {
      hook.preprocess?.(of)
    } catch (error) {
      failures.push([name, error])
    }
  }
  const [first] = failures
  if (first) throw failed(first[1], ...failures)
}

/** A bug stays one. */
function failed(cause: unknown, ...failures: [string, unknown][]): unknown {
  const bug = failures.find(([, error]) => !(error instanceof Fault))
  if (bug) return bug[1]
  const told = failures.map(([name, error]) => `hook ${name}: ${messageOf(error)}`)
  return new InspectionFailed(`Inspection failed: ${told.join('; ')}`, { cause })
}
