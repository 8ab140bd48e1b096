/**
 * What the API asks of a machine's interfaces themselves: boot device and mode, console, NMI, vendor methods. Each call is
 * answered when it is done, under the node's lease where it changes something; only boot settings are a flow.
 */

import type { Db } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import { portgroupsOf } from '#db/portgroups.ts'
import type { VirtualMedia } from '#drivers/bmc-interfaces.ts'
import { type NodeContext, Unsupported } from '#drivers/driver.ts'
import type { Registry } from '#drivers/registry.ts'
import { Conflict, InvalidInput } from '#lib/fault.ts'
import { isUnstable } from '#protocol/states.ts'
import type { Caller, ConductorService } from './conductor.ts'
import { consolePurpose } from './consoles.ts'
import type { FlowEngine } from './engine.ts'
import type { Args } from './flow-definition.ts'
import { listedMethods, vendorMethod } from './vendor-methods.ts'

type Request = Parameters<FlowEngine['begin']>[0]

type HardwareCalls = Pick<
  ConductorService,
  | 'bootDevice'
  | 'setBootDevice'
  | 'supportedBootDevices'
  | 'injectNmi'
  | 'indicators'
  | 'setIndicator'
  | 'checkRaid'
  | 'virtualMedia'
  | 'attachMedia'
  | 'detachMedia'
  | 'networkOfVif'
  | 'vifAttached'
  | 'vifDetached'
  | 'setBootMode'
  | 'setSecureBoot'
  | 'consoleOf'
  | 'consoleStream'
  | 'setConsole'
  | 'vendorMethods'
  | 'callVendor'
>

export interface HardwareWorld {
  db: Db
  registry: Registry
  context(node: Node): Promise<NodeContext>
  withNode: ConductorService['withNode']
  /** Starts a flow, once nobody else works on the node. */
  begin(request: Request): Promise<void>
}

export function hardwareCalls({ db, registry, context, withNode, begin }: HardwareWorld): HardwareCalls {
  return {
    async bootDevice(node) {
      const ctx = await context(node)
      return ctx.interfaces.management.getBootDevice(ctx)
    },

    async setBootDevice(node, device, options, caller) {
      const told = `set boot device to "${device}"${options.persistent ? '' : ' for the next boot'}`
      await withNode(node.uuid, { purpose: 'set boot device', told, caller }, async held => {
        const ctx = await context(held.node)
        const supported = await ctx.interfaces.management.supportedBootDevices(ctx)
        if (!supported.includes(device)) {
          throw new InvalidInput(`Node ${node.uuid} cannot boot from "${device}"; it can from ${supported.join(', ')}`)
        }
        await ctx.interfaces.management.setBootDevice(ctx, device, options)
      })
    },

    async supportedBootDevices(node) {
      const ctx = await context(node)
      return ctx.interfaces.management.supportedBootDevices(ctx)
    },

    async injectNmi(node, caller) {
      await withNode(node.uuid, { purpose: 'inject NMI', told: 'inject NMI', caller }, async held => {
        const ctx = await context(held.node)
        await ctx.interfaces.management.injectNmi(ctx)
      })
    },

    async indicators(node) {
      const ctx = await context(node)
      return (await ctx.interfaces.management.getIndicators?.(ctx)) ?? []
    },

    async setIndicator(node, wanted, caller) {
      const told = `set indicator ${wanted.name}@${wanted.component} to "${wanted.state}"`
      await withNode(node.uuid, { purpose: 'set indicator', told, caller }, async held => {
        const ctx = await context(held.node)
        const { management } = ctx.interfaces
        if (!management.setIndicator) {
          const of = `Management interface ${node.management_interface} of node ${node.uuid}`
          throw new Unsupported(`${of} has no indicator ${wanted.name}@${wanted.component}`)
        }
        await management.setIndicator(ctx, wanted)
      })
    },

    async checkRaid(node, config) {
      const ctx = await context(node)
      ctx.interfaces.raid.validateConfig?.(ctx, config)
    },

    async virtualMedia(node) {
      const ctx = await context(node)
      return mediaOf(ctx).list(ctx)
    },

    async attachMedia(node, { device, ...image }, caller) {
      // The URL is not told: it may carry a password.
      const what = { purpose: 'attach virtual media', told: `attach an image as ${device}`, caller }
      await withNode(node.uuid, what, async held => {
        const ctx = await context(held.node)
        await mediaOf(ctx).attach(ctx, device, image)
      })
    },

    async detachMedia(node, devices, caller) {
      const told = `detach virtual media${devices === null ? '' : ` (${devices.join(', ')})`}`
      await withNode(node.uuid, { purpose: 'detach virtual media', told, caller }, async held => {
        const ctx = await context(held.node)
        await mediaOf(ctx).detach(ctx, devices)
      })
    },

    async networkOfVif(node, id) {
      const ctx = await context(node)
      return (await ctx.interfaces.network.networkOfVif?.(ctx, id)) ?? null
    },

    async vifAttached(node, id) {
      const ctx = await context(node)
      await ctx.interfaces.network.vifAttached?.(ctx, { id, groups: await portgroupsOf(db, node.uuid) })
    },

    async vifDetached(node, id) {
      const ctx = await context(node)
      await ctx.interfaces.network.vifDetached?.(ctx, { id, groups: await portgroupsOf(db, node.uuid) })
    },

    async setBootMode(node, mode, caller) {
      const ctx = await context(node)
      await ctx.interfaces.management.validate(ctx)
      await begin(bootSettingsOf(node, { boot_mode: mode }, caller))
    },

    async setSecureBoot(node, enabled, caller) {
      const ctx = await context(node)
      const { management } = ctx.interfaces
      await management.validate(ctx)
      if (!management.setSecureBoot) {
        throw new Unsupported(
          `Management interface ${node.management_interface} of node ${node.uuid} cannot set secure boot`,
        )
      }
      await begin(bootSettingsOf(node, { secure_boot: enabled }, caller))
    },

    async consoleOf(node) {
      const ctx = await context(node)
      await ctx.interfaces.console.validate(ctx)
      return node.console_enabled ? ctx.interfaces.console.access(ctx) : null
    },

    async consoleStream(node) {
      const ctx = await context(node)
      await ctx.interfaces.console.validate(ctx)
      return node.console_enabled ? (ctx.interfaces.console.stream?.(ctx) ?? null) : null
    },

    async setConsole(node, enabled, caller) {
      const wanted = await context(node)
      await wanted.interfaces.console.validate(wanted)
      const told = `switch console ${enabled ? 'on' : 'off'}`
      await withNode(node.uuid, { purpose: consolePurpose, told, caller }, async held => {
        const ctx = await context(held.node)
        if (enabled) await ctx.interfaces.console.start(ctx)
        else await ctx.interfaces.console.stop(ctx)
        await held.write({ console_enabled: enabled })
      })
    },

    async vendorMethods(node) {
      return listedMethods(registry.interface(node, 'vendor'))
    },

    async callVendor(node, call, caller) {
      const ctx = await context(node)
      const method = vendorMethod(ctx, call)
      await ctx.interfaces.vendor.validate(ctx)
      if (!method.require_exclusive_lock) return { async: method.async, result: await method.run(ctx, call.args) }
      const what = { purpose: 'vendor passthru', told: `call vendor method ${call.method}`, caller }
      const result = await withNode(node.uuid, what, async held => method.run(await context(held.node), call.args))
      return { async: method.async, result }
    },
  }
}

/** @throws Unsupported where the driver has none */
function mediaOf({ node, interfaces }: NodeContext): VirtualMedia {
  const { virtualMedia } = interfaces.management
  if (virtualMedia) return virtualMedia
  throw new Unsupported(
    `Management interface ${node.management_interface} of node ${node.uuid} does not support virtual media`,
  )
}

function bootSettingsOf(node: Node, args: Args, caller: Caller): Request {
  return { nodeUuid: node.uuid, kind: 'boot settings', args, event: null, caller, check: checkSettled }
}

/** @throws Conflict while the node may move on by itself */
function checkSettled(node: Node): void {
  if (!isUnstable(node.provision_state)) return
  throw new Conflict(`Cannot change boot settings of node ${node.uuid} in state "${node.provision_state}"`)
}
