/**
 * The conductor: answers the API (see conductor.ts) with drivers, leases and flows. It decides whether a verb may start
 * and hands the work to the engine; the work itself is in flows/.
 */

import { removeNodeFiles } from '#boot/ipxe.ts'
import type { Config } from '#config/options.ts'
import { findAgent } from '#db/agents.ts'
import type { Db } from '#db/database.ts'
import { appendEvent } from '#db/events.ts'
import { deleteNode, dropLease, findNode, type Node, takeLease, writeInventory, writeNode } from '#db/nodes.ts'
import { portsByAddress, portsOf } from '#db/ports.ts'
import { type Flow, type FlowContext, type NodeContext, Unsupported } from '#drivers/driver.ts'
import type { Registry } from '#drivers/registry.ts'
import { cleanImageStore, releaseInstanceImage } from '#images/instance.ts'
import type { Clock } from '#lib/clock.ts'
import { Conflict, Fault, Forbidden, InvalidInput, messageOf, NodeLocked, NotFound } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { type InterfaceType, interfaceTypes } from '#protocol/interfaces.ts'
import { isUnstable, powerTargets, type Verb, verbs, verbTarget } from '#protocol/states.ts'
import { Allocator } from './allocations.ts'
import type { Caller, ConductorService, ProvisionRequest } from './conductor.ts'
import { type Args, FlowEngine } from './engine.ts'
import { bootSettings } from './flows/boot-settings.ts'
import { clean } from './flows/clean.ts'
import { deploy } from './flows/deploy.ts'
import { inspect } from './flows/inspect.ts'
import { power } from './flows/power.ts'
import { undeploy } from './flows/undeploy.ts'
import { verify } from './flows/verify.ts'
import { movedFields } from './moves.ts'
import { type PeriodicTask, runPeriodically } from './periodic.ts'
import { prune } from './prune.ts'
import { Shared } from './shared.ts'
import { Watch } from './watch.ts'

export interface ConductorOptions {
  db: Db
  config: Config
  registry: Registry
  clock: Clock
  log: Log
  /** Default: nothing is shared yet. */
  shared?: Shared
  /** Tells DHCP and boot files that the ports of a node are others now. */
  portsChanged(node: Node): Promise<void>
}

export interface Conductor extends ConductorService {
  start(): Promise<void>
  stop(): Promise<void>
}

/** The flow of each event that starts work; events that are not here only change the state. */
const flowOfEvent: Readonly<Record<string, string>> = {
  deploy: 'deploy',
  rebuild: 'deploy',
  delete: 'undeploy',
  inspect: 'inspect',
  provide: 'clean',
  clean: 'clean',
}

/** Verbs whose work comes later; asking for them is answered honestly. */
const absent: readonly Verb[] = ['adopt', 'rescue', 'unrescue', 'service', 'unhold']

export function createConductor(options: ConductorOptions): Conductor {
  const { db, config, registry, clock, log } = options
  const hostname = config.DEFAULT.host
  const { shared = new Shared() } = options
  const never = new AbortController().signal

  async function nodeContext(node: Node, signal: AbortSignal = never): Promise<NodeContext> {
    const [ports, agent] = await Promise.all([portsOf(db, node.uuid), findAgent(db, node.uuid)])
    return {
      node,
      ports,
      interfaces: registry.interfaces(node),
      agent: agent ?? null,
      config,
      log: log.child({ node: node.uuid }),
      clock,
      signal,
      portsChanged: () => options.portsChanged(node),
      shared: shared.get,
    }
  }

  async function flowContext(flow: Flow, node: Node, signal: AbortSignal): Promise<FlowContext> {
    const ctx = await nodeContext(node, signal)
    const fresh = async () => flowContext(flow, await flow.node(), signal)
    const child = async (uuid: string, prefix: string) => {
      const inner = flow.child(uuid, prefix)
      return flowContext(inner, await inner.node(), signal)
    }
    return { ...ctx, flow, db, agentVersions: null, fresh, child }
  }

  const engine = new FlowEngine({
    db,
    clock,
    log,
    hostname,
    errorLimit: config.DEFAULT.log_in_db_max_size,
    definitions: [verify, inspect, clean, deploy, undeploy, power, bootSettings],
    context: flowContext,
  })

  const allocator = new Allocator({
    db,
    clock,
    log,
    hostname,
    retries: () => ({
      attempts: config.conductor.node_locked_retry_attempts,
      intervalS: config.conductor.node_locked_retry_interval,
    }),
  })

  const watch = new Watch({
    db,
    config,
    clock,
    log,
    context: nodeContext,
    async setPower({ node, token }, wanted) {
      const caller: Caller = { user: 'power sync', requestId: null }
      const check = (now: Node) => {
        if (now.lease?.token !== token + 1) throw new Conflict(`Node ${node.uuid} is not what it was any more`)
      }
      // Nobody asked for this: what failed last stays told.
      const patch = ({ last_error }: Node) => ({ target_power_state: wanted, last_error })
      const request = {
        nodeUuid: node.uuid,
        kind: 'power',
        args: { target: wanted },
        event: null,
        caller,
        check,
        patch,
      }
      await engine.begin(request).catch(error => {
        if (!(error instanceof Conflict || error instanceof NodeLocked)) throw error
      })
    },
  })

  const stopping = new AbortController()
  let periodic: Promise<unknown> | undefined
  const tasks: PeriodicTask[] = [
    {
      name: 'image cache clean-up',
      everyS: () => config.conductor.cache_clean_up_interval,
      run: () => cleanImageStore({ config, log, shared: shared.get }),
    },
    { name: 'allocations left over', everyS: () => 10, run: () => allocator.resume() },
    { name: 'old events', everyS: () => 3600, run: signal => prune({ db, config, clock, log }, signal) },
  ]

  /** Tries again while somebody else works on the node for a moment, as [conductor] node_locked_retry_* say. */
  async function patiently<T>(uuid: string, attempt: () => Promise<T>): Promise<T> {
    const { node_locked_retry_attempts: attempts, node_locked_retry_interval: intervalS } = config.conductor
    for (let left = attempts; ; left--) {
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof NodeLocked) || left <= 0) throw error
        // A look at an agent that does not answer would outlast every patience.
        if (await engine.interruptLook(uuid)) continue
        await clock.sleep(intervalS * 1000)
      }
    }
  }

  const service: Conductor = {
    hostname,
    async start() {
      await engine.start()
      await allocator.resume()
      const { signal } = stopping
      periodic = Promise.all([runPeriodically(tasks, { clock, log, signal }), watch.run(signal)])
    },
    async stop() {
      stopping.abort()
      await Promise.all([engine.stop(), allocator.stop(), periodic])
      await shared.dispose()
    },

    async provision(node, verb, request, caller) {
      checkVerb(node, verb, config)
      const { event } = verbs[verb]
      if (event === 'abort') return patiently(node.uuid, () => engine.abort(node.uuid, cuttable))
      if (event === 'manage' && node.provision_state !== 'enroll') return manage(node)
      const kind = event === 'manage' ? 'verify' : flowOfEvent[event]
      if (kind === undefined) throw new InvalidInput(`Verb ${verb} has no flow`)
      const ctx = await nodeContext(node)
      await validateFor(ctx, kind)
      const args = argsOf(kind, request)
      // Somebody may have protected the node, or put it in maintenance, while it was waited for.
      const check = (now: Node) => checkVerb({ ...now, reservation: null }, verb, config)
      await patiently(node.uuid, () =>
        engine.begin({ nodeUuid: node.uuid, kind, args, event, caller, check, patch: startPatch(kind) }),
      )
    },

    async power(node, target, { timeoutS }, caller) {
      const ctx = await nodeContext(node)
      const { power: way } = ctx.interfaces
      if (!way.supported.includes(target)) {
        throw new InvalidInput(
          `Power interface ${node.power_interface} of node ${node.uuid} cannot do "${target}"; ` +
            `it can do ${way.supported.join(', ')}`,
        )
      }
      if (node.disable_power_off && (target === 'power off' || target === 'soft power off')) {
        throw new Conflict(`Node ${node.uuid} must not be switched off: its disable_power_off is set`)
      }
      await way.validate(ctx)
      const args = { target, ...(timeoutS === null ? {} : { timeout_s: timeoutS }) }
      const patch = () => ({ target_power_state: powerTargets[target] })
      await patiently(node.uuid, () =>
        engine.begin({ nodeUuid: node.uuid, kind: 'power', args, event: null, caller, patch }),
      )
    },

    async validate(node) {
      const ctx = await nodeContext(node)
      const entries = await Promise.all(interfaceTypes.map(async type => [type, await checked(ctx, type)] as const))
      return Object.fromEntries(entries) as Awaited<ReturnType<Conductor['validate']>> // one entry per interface type
    },

    async bootDevice(node) {
      const ctx = await nodeContext(node)
      return ctx.interfaces.management.getBootDevice(ctx)
    },

    async setBootDevice(node, device, options) {
      await service.withNode(node.uuid, 'set boot device', async held => {
        const ctx = await nodeContext(held.node)
        const supported = await ctx.interfaces.management.supportedBootDevices(ctx)
        if (!supported.includes(device)) {
          throw new InvalidInput(`Node ${node.uuid} cannot boot from "${device}"; it can from ${supported.join(', ')}`)
        }
        await ctx.interfaces.management.setBootDevice(ctx, device, options)
      })
    },

    async supportedBootDevices(node) {
      const ctx = await nodeContext(node)
      return ctx.interfaces.management.supportedBootDevices(ctx)
    },

    async injectNmi(node) {
      await service.withNode(node.uuid, 'inject NMI', async held => {
        const ctx = await nodeContext(held.node)
        await ctx.interfaces.management.injectNmi(ctx)
      })
    },

    async setBootMode(node, mode, caller) {
      const ctx = await nodeContext(node)
      await ctx.interfaces.management.validate(ctx)
      await setBoot(node, { boot_mode: mode }, caller)
    },

    async setSecureBoot(node, enabled, caller) {
      const ctx = await nodeContext(node)
      const { management } = ctx.interfaces
      await management.validate(ctx)
      if (!management.setSecureBoot) {
        throw new Unsupported(
          `Management interface ${node.management_interface} of node ${node.uuid} cannot set secure boot`,
        )
      }
      await setBoot(node, { secure_boot: enabled }, caller)
    },

    async consoleOf(node) {
      const ctx = await nodeContext(node)
      await ctx.interfaces.console.validate(ctx)
      return node.console_enabled ? ctx.interfaces.console.access(ctx) : null
    },

    async setConsole(node, enabled) {
      const wanted = await nodeContext(node)
      await wanted.interfaces.console.validate(wanted)
      await service.withNode(node.uuid, 'console', async held => {
        const ctx = await nodeContext(held.node)
        if (enabled) await ctx.interfaces.console.start(ctx)
        else await ctx.interfaces.console.stop(ctx)
        await held.write({ console_enabled: enabled })
      })
    },

    async withNode(uuid, purpose, work) {
      const lease = { holder: hostname, purpose, forMs: 120_000, visible: true }
      const token = await patiently(uuid, () => takeLease(db, uuid, { ...lease, nowMs: clock.now() }))
      try {
        const node = await findNode(db, uuid)
        if (!node) throw new NotFound(`Node ${uuid} could not be found`)
        // The caller sees the node as it is for everybody else: held by this very call is not a state of the node.
        return await work({
          node: { ...node, reservation: null },
          write: patch => writeNode(db, uuid, token, patch, clock.now()),
          async delete() {
            // A node in maintenance may go from any state, with all that its last flow had published.
            await removeNodeFiles(config, uuid)
            await releaseInstanceImage({ node, config })
            await deleteNode(db, uuid, token)
          },
        })
      } finally {
        await dropLease(db, uuid, token)
      }
    },

    interfacesFor: (driver, given) => registry.interfacesFor(driver, given),
    driverProperties: async driver => registry.properties(driver),
    secretKeys: driver => registry.secretKeys(driver),

    async inspectionData(data, nodeUuid) {
      const uuid = nodeUuid ?? (await nodeOf(data))
      const node = await findNode(db, uuid)
      if (!node || (node.provision_state !== 'inspecting' && node.provision_state !== 'inspect wait')) {
        throw new NotFound('No node that waits for inspection data has one of these MAC addresses')
      }
      await writeInventory(db, uuid, { ...data, received_at: timestamp(clock.now()) })
      await engine.wake(uuid, 'inspection data')
      return { uuid }
    },

    allocate: uuid => allocator.search(uuid),
    wake: (uuid, event) => engine.wake(uuid, event),

    portsChanged: node => options.portsChanged(node),
  }
  return service

  async function setBoot(node: Node, args: Args, caller: Caller): Promise<void> {
    const kind = 'boot settings'
    await patiently(node.uuid, () =>
      engine.begin({ nodeUuid: node.uuid, kind, args, event: null, caller, check: now => checkSettled(now) }),
    )
  }

  /** Drivers that will be needed say so now, while somebody listens. */
  async function validateFor(ctx: NodeContext, kind: string): Promise<void> {
    await ctx.interfaces.power.validate(ctx)
    if (kind === 'deploy') await ctx.interfaces.deploy.validate(ctx)
    if (kind === 'inspect') await ctx.interfaces.inspect.validate(ctx)
    if (kind !== 'clean') return
    await ctx.interfaces.network.validate(ctx)
    // Cleaning boots the ramdisk: what is missing for that is better heard of now than from a failed cleaning.
    if (ctx.node.automated_clean ?? config.conductor.automated_clean) await ctx.interfaces.boot.validate(ctx)
  }

  /** From a failed state, or back from available: only the state changes. */
  async function manage(node: Node): Promise<void> {
    await service.withNode(node.uuid, 'manage', async held => {
      await held.write(movedFields(held.node, 'manage', undefined, clock.now()))
      const data = { from: held.node.provision_state, to: 'manageable' }
      await appendEvent(db, { nowMs: clock.now(), node_uuid: node.uuid, kind: 'provision state', data })
    })
  }

  async function checked(ctx: NodeContext, type: InterfaceType): Promise<{ result: boolean | null; reason?: string }> {
    try {
      await ctx.interfaces[type].validate(ctx)
      return { result: true }
    } catch (error) {
      if (error instanceof Unsupported) return { result: null, reason: error.message }
      if (error instanceof Fault) return { result: false, reason: error.message }
      log.error({ err: error, node: ctx.node.uuid }, `validating the ${type} interface failed with a bug`)
      return { result: false, reason: `Unexpected error: ${messageOf(error)}` }
    }
  }

  /** The node of a ramdisk that posted inspection data, by the MAC addresses it found. */
  async function nodeOf(data: Record<string, unknown>): Promise<string> {
    const inventory = data.inventory as { interfaces?: { mac_address?: unknown }[] } | undefined // checked by the API
    const addresses = (inventory?.interfaces ?? []).map(found => String(found.mac_address ?? ''))
    const nodes = new Set((await portsByAddress(db, addresses)).map(port => port.node_uuid))
    const [uuid, second] = nodes
    if (uuid === undefined || second !== undefined) {
      throw new NotFound('No node that waits for inspection data has one of these MAC addresses')
    }
    return uuid
  }
}

/** @throws Conflict while the node may move on by itself */
function checkSettled(node: Node): void {
  if (!isUnstable(node.provision_state)) return
  throw new Conflict(`Cannot change boot settings of node ${node.uuid} in state "${node.provision_state}"`)
}

/** May this verb start on this node? Checks that need no driver and no lease. */
function checkVerb(node: Node, verb: Verb, config: Config): void {
  const { inMaintenance } = verbs[verb]
  const byOption = inMaintenance === 'by option' && !config.conductor.allow_provisioning_in_maintenance
  if (node.maintenance && (inMaintenance === 'refused' || byOption)) {
    throw new InvalidInput(`Cannot ${verb} node ${node.uuid} while it is in maintenance`)
  }
  if (verbTarget(node.provision_state, verb) === undefined) {
    const message = `Cannot ${verb} node ${node.uuid} in provision state "${node.provision_state}"`
    // While somebody works on it another try may help; in a state at rest it will not.
    if (node.reservation !== null) throw new NodeLocked(`${message}: host ${node.reservation} is working on it`)
    throw new InvalidInput(message)
  }
  if (node.protected && (verb === 'deleted' || verb === 'undeploy' || verb === 'rebuild')) {
    throw new Forbidden(
      `Cannot ${verb} node ${node.uuid}: it is protected${node.protected_reason ? ` (${node.protected_reason})` : ''}`,
    )
  }
  if (verb === 'provide' && node.retired) throw new InvalidInput(`Cannot provide node ${node.uuid}: it is retired`)
  if (absent.includes(verb)) throw new InvalidInput(`Verb "${verb}" is not implemented in this version of Ferrite`)
}

function argsOf(kind: string, request: ProvisionRequest): Args {
  if (kind === 'deploy') {
    const { configdrive, deploy_steps } = request
    return { ...(configdrive === undefined ? {} : { configdrive }), ...(deploy_steps ? { deploy_steps } : {}) }
  }
  if (kind === 'clean' && request.clean_steps) return { clean_steps: request.clean_steps }
  return {}
}

/** May the node's flow be cut off where it is, or does a step run that must be seen to its end? */
function cuttable(node: Node): boolean {
  return node.provision_state !== 'clean wait' || !('step' in node.clean_step) || node.clean_step.abortable !== false
}

/** Fields that starting a flow writes besides the state. */
function startPatch(kind: string): (node: Node) => { instance_name?: string } {
  return node => {
    const name = node.instance_info.display_name
    return kind === 'deploy' && node.instance_name === null && typeof name === 'string' ? { instance_name: name } : {}
  }
}
