/** Takes the instance off a node and cleans it: active (or a failed state) to available. */
import { placesOf, takeVif, vifsAt } from '#db/vifs.ts'
import type { FlowContext } from '#drivers/driver.ts'
import { Fault } from '#lib/fault.ts'
import { type ProvisionState, stateTarget, target } from '#protocol/states.ts'
import { ownDeployPatch } from '../deploy-choice.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { cleaning, undoCleaning } from './clean.ts'
import { stepFailed } from './failed-step.ts'

export const undeploy: FlowDefinition = {
  kind: 'undeploy',
  async run(ctx, args) {
    const { flow } = ctx
    if (inRescue(args.from as ProvisionState)) await ctx.interfaces.rescue.cleanUp(ctx) // written by the engine
    await flow.once('stop the console', async () => {
      const now = await ctx.fresh()
      // It stays enabled for the next deployment.
      if (now.node.console_enabled) await now.interfaces.console.stop(now)
    })
    await ctx.interfaces.deploy.tearDown(ctx)
    await flow.once('detach VIFs', async () => detachVifs(await ctx.fresh()))
    await flow.once('forget the instance', async () => {
      const { node } = await ctx.fresh()
      const {
        instance,
        root_uuid_or_disk_id,
        deploy_boot_mode,
        automatic_lessee,
        service_ramdisk,
        boot_device_once,
        files_of_image,
        ...internal
      } = node.driver_internal_info
      await flow.write({
        instance_info: {},
        instance_uuid: null,
        instance_name: null,
        deploy_step: {},
        service_step: {},
        ...(automatic_lessee ? { lessee: null } : {}),
        driver_internal_info: internal,
      })
    })
    await flow.move('to cleaning', 'clean')
    return cleaning(ctx, args)
  },
  async undo(ctx, args, failure) {
    if (ctx.node.provision_state === 'deleting') return
    await undoCleaning(ctx, args, failure)
  },
  succeeded: ownDeployPatch,
  failed: (node, failure) => (node.provision_state === 'deleting' ? {} : stepFailed('clean', node, failure)),
}

/** The networks of this instance are not those of the next. What cannot be told of it loses its VIF all the same. */
async function detachVifs(ctx: FlowContext): Promise<void> {
  const { db, node, clock, interfaces, log } = ctx
  const places = await placesOf(db, node.uuid)
  const groups = places.flatMap(place => (place.kind === 'portgroup' ? [place.of] : []))
  for (const id of vifsAt(places)) {
    try {
      await interfaces.network.vifDetached?.(ctx, { id, groups })
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      // Cut off: whoever takes the flow up tells it.
      ctx.signal.throwIfAborted()
      log.warn({ vif: id }, `the network was not told that a VIF is taken off: ${error.message}`)
    }
    await takeVif(db, places, { id, nowMs: clock.now() })
  }
}

/** Is a rescue system booted, or prepared, in this state? */
function inRescue(state: ProvisionState): boolean {
  return stateTarget(state) === 'rescue' || target(state, 'unrescue') !== undefined
}
