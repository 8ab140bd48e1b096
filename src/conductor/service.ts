/**
 * The conductor: answers the API (see conductor.ts) with drivers, leases and flows. It decides whether a verb may start
 * and hands the work to the engine; the work itself is in flows/.
 */

import { forgetNode } from '#boot/dhcp.ts'
import { removeNodeFiles } from '#boot/node-files.ts'
import { PxeFilter } from '#boot/pxe-filter.ts'
import type { Config } from '#config/options.ts'
import { findAgent } from '#db/agents.ts'
import type { Channel } from '#db/channel.ts'
import type { Db } from '#db/database.ts'
import { appendEvent } from '#db/events.ts'
import { type Found, foundAt, postFound } from '#db/inspections.ts'
import { deleteNode, dropLease, findNode, type Node, takeLease, writeNode } from '#db/nodes.ts'
import { portsOf } from '#db/ports.ts'
import { volumesOf } from '#db/volumes.ts'
import { type Flow, type FlowContext, type NodeContext, Unsupported } from '#drivers/driver.ts'
import type { Registry } from '#drivers/registry.ts'
import { listImages } from '#images/listing.ts'
import { releaseInstanceImage } from '#images/published.ts'
import type { Clock } from '#lib/clock.ts'
import { type Load, noLoad } from '#lib/event-loop.ts'
import { Conflict, Fault, InvalidInput, messageOf, NodeLocked, NotFound } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { type InterfaceType, interfaceTypes } from '#protocol/interfaces.ts'
import { powerTargets, verbs } from '#protocol/states.ts'
import { Allocator } from './allocations.ts'
import { Background } from './background.ts'
import type { Action, Caller, ConductorService } from './conductor.ts'
import { endConsole } from './consoles.ts'
import { withChosenDeploy } from './deploy-choice.ts'
import { FlowEngine } from './engine.ts'
import { leaseMs } from './flow-leases.ts'
import { adopt } from './flows/adopt.ts'
import { bootSettings } from './flows/boot-settings.ts'
import { clean } from './flows/clean.ts'
import { deploy } from './flows/deploy.ts'
import { inspect } from './flows/inspect.ts'
import { power } from './flows/power.ts'
import { rescue, unrescue } from './flows/rescue.ts'
import { serviceAbort, service as servicing } from './flows/service.ts'
import { undeploy } from './flows/undeploy.ts'
import { verify } from './flows/verify.ts'
import { hardwareCalls } from './hardware-calls.ts'
import { Heartbeats } from './heartbeats.ts'
import { readBuiltInRules } from './inspection/built-in-rules.ts'
import { checkDiscovery, Discovery, discover } from './inspection/discovery.ts'
import { dropInventory, readInventory } from './inspection/inventory.ts'
import { lookUp, nobody, type Told, toldBy } from './inspection/lookup.ts'
import { takeOver } from './instance-boots.ts'
import { heartbeats as heartbeatsHeard } from './measured.ts'
import { Membership } from './membership.ts'
import { movedFields } from './moves.ts'
import { planOf } from './plan/plan.ts'
import { argsOf, askedBy, checkVerb, cuttable, flowFor, startPatch, validateFor } from './provisioning.ts'
import { Shared } from './shared.ts'
import { actionTold, asked, moveTold } from './told.ts'
import { explain, type Problem } from './why/explain.ts'

export interface ConductorOptions {
  db: Db
  config: Config
  registry: Registry
  clock: Clock
  log: Log
  /** Default: nothing is shared yet. */
  shared?: Shared
  /** To the other conductors; undefined where there are none. */
  channel?: Channel | undefined
  /** The same database over a connection that work does not wait for. Default: `db`. */
  lifeline?: Db | undefined
  /** How busy the process is. Default: never so much that anything is put off. */
  load?: Load
  /** Tells DHCP and boot files that the ports of a node are others now. */
  portsChanged(node: Node): Promise<void>
}

export interface Conductor extends ConductorService {
  start(): Promise<void>
  stop(): Promise<void>
}

export function createConductor(options: ConductorOptions): Conductor {
  const { db, config, registry, clock, log } = options
  const hostname = config.DEFAULT.host
  const { shared = new Shared(), load = noLoad } = options
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
      volumes: () => volumesOf(db, node.uuid),
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
    return {
      ...ctx,
      // Read for every request: one that this process may have no right to any more is not made.
      get signal() {
        membership.fenceIfSilent()
        return signal
      },
      flow,
      db,
      agentVersions: null,
      fresh,
      child,
    }
  }

  const membership = new Membership({
    db: options.lifeline ?? db,
    clock,
    log,
    hostname,
    group: config.conductor.conductor_group.toLowerCase(),
    interfaces: registry.enabledRows(),
    channel: options.channel,
    intervalMs: () => config.conductor.heartbeat_interval * 1000,
    timeoutMs: () => config.conductor.heartbeat_timeout * 1000,
    onWork: connection => engine.takeUp(connection),
    onWake: () => engine.kick(),
    onInterrupt: uuid => void engine.interruptLook(uuid, 'here'),
    onTaken: uuid => engine.letGo(uuid),
    onFenced: () => engine.fence(),
  })

  const filter = new PxeFilter({ db, config })
  const engine: FlowEngine = new FlowEngine({
    peers: membership,
    db,
    clock,
    log,
    hostname,
    errorLimit: config.DEFAULT.log_in_db_max_size,
    // The agent's least pause between heartbeats. Source: ironic-python-agent, heartbeat jitter.
    regularCallMs: 0.3 * config.api.ramdisk_heartbeat_timeout * 1000,
    load,
    waitsInMaintenance: () => config.conductor.allow_provisioning_in_maintenance,
    definitions: [
      verify,
      inspect({ ...registry, allowBoots: () => filter.sync() }),
      discover(registry),
      clean,
      deploy,
      undeploy,
      adopt,
      rescue,
      unrescue,
      servicing,
      serviceAbort,
      power,
      bootSettings,
      takeOver,
    ],
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

  const discovery = new Discovery({ db, config, registry, clock, log })
  const heartbeats = new Heartbeats({ db, clock, log })
  const background = new Background({
    ...{ db, config, registry, clock, log, hostname, shared },
    ...{ engine, membership, allocator, filter },
    context: nodeContext,
  })

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
      await readBuiltInRules(config.inspection_rules.built_in_rules)
      checkDiscovery({ config, registry })
      await filter.check()
      await membership.join()
      await engine.start()
      membership.watch()
      await allocator.resume()
      background.start()
    },
    async stop() {
      await Promise.all([engine.stop(), allocator.stop(), heartbeats.stop(), background.stop()])
      await membership.leave()
      await shared.dispose()
    },

    async provision(node, verb, request, caller) {
      checkVerb(node, verb, config)
      membership.ownerOf(node) // without one, what drivers say of the node does not matter
      const { event } = verbs[verb]
      const kind = flowFor(node.provision_state, verb)
      if (kind === null) {
        if (event === 'abort') return patiently(node.uuid, () => engine.abort(node.uuid, cuttable, caller))
        if (event === 'unhold') return patiently(node.uuid, () => engine.unhold(node.uuid, caller))
        return manage(node, caller)
      }
      const chosen = await withChosenDeploy(await nodeContext(node), registry, kind)
      await validateFor(await nodeContext(askedBy(caller, chosen)), db, kind, request)
      const args = await argsOf(kind, request, config)
      // Somebody may have protected the node, or put it in maintenance, while it was waited for.
      const check = (now: Node) => checkVerb({ ...now, reservation: null }, verb, config)
      await patiently(node.uuid, () =>
        engine.begin({
          nodeUuid: node.uuid,
          kind,
          args,
          event,
          caller,
          check,
          patch: startPatch(event, caller, config, chosen),
        }),
      )
    },

    plan(node, verb, request, { caller, runbook }) {
      const world = {
        db,
        config,
        registry,
        context: nodeContext,
        inventory: service.inventory,
        ownerOf: (one: Node) => membership.ownerOf(one),
      }
      return planOf(world, node, { verb, request, caller, ...(runbook === undefined ? {} : { runbook }) })
    },

    async power(node, target, { timeoutS }, caller) {
      membership.ownerOf(node)
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

    async validate(node, caller) {
      const chosen = await withChosenDeploy(await nodeContext(node), registry, 'deploy')
      const ctx = await nodeContext(caller ? askedBy(caller, chosen) : chosen)
      const entries = await Promise.all(interfaceTypes.map(async type => [type, await checked(ctx, type)] as const))
      return Object.fromEntries(entries) as Awaited<ReturnType<Conductor['validate']>> // one entry per interface type
    },

    ...hardwareCalls({
      db,
      registry,
      context: node => nodeContext(node),
      withNode: (uuid, what, work) => service.withNode(uuid, what, work),
      begin: request => patiently(request.nodeUuid, () => engine.begin(request)),
    }),

    why: node => {
      const ownerOf = (one: Node) => membership.ownerOf(one)
      return explain({ db, config, clock, context: nodeContext, problems, ownerOf }, node)
    },

    async unlock(node, caller) {
      const lease = await engine.unlock(node.uuid, caller)
      if (!lease) throw new Conflict(`Cannot unlock node ${node.uuid}: nobody holds it`)
      const { holder, purpose, since } = lease
      return { holder, purpose, since }
    },

    async withNode(uuid, what, work) {
      const [purpose, action] = typeof what === 'string' ? [what] : [what.purpose, what]
      const lease = { holder: hostname, purpose, forMs: leaseMs, visible: true }
      const token = await patiently(uuid, () => takeLease(db, uuid, { ...lease, nowMs: clock.now() }))
      const letGo = engine.keepLease({ nodeUuid: uuid, token })
      try {
        const node = await findNode(db, uuid)
        if (!node) throw new NotFound(`Node ${uuid} could not be found`)
        // The caller sees the node as it is for everybody else: held by this very call is not a state of the node.
        const doing = work({
          node: { ...node, reservation: null },
          write: patch => writeNode(db, uuid, token, patch, clock.now()),
          async delete() {
            await endConsole({ shared: shared.get, log }, uuid)
            // A node in maintenance may go from any state, with all that its last flow had published.
            await removeNodeFiles(config, uuid)
            await forgetNode(config, uuid)
            await releaseInstanceImage({ node, config })
            await forgetInventory(node)
            await forgetMedia(node)
            await deleteNode(db, uuid, token)
          },
        })
        return await (action ? telling(node, action, doing) : doing)
      } finally {
        letGo()
        await dropLease(db, uuid, token)
      }
    },

    interfacesFor: (driver, given) => registry.interfacesFor(driver, given),
    driverProperties: async driver => registry.properties(driver),
    secretKeys: driver => registry.secretKeys(driver),

    inventory: uuid => readInventory({ db, config, signal: never, shared: shared.get }, uuid),
    async inspectionData(data, nodeUuid) {
      const { inventory, ...plugin_data } = data
      const found = { inventory: inventory as Found['inventory'], plugin_data } // an object by the API's schema
      const told = toldBy(found.inventory, nodeUuid)
      const uuid = await lookUp(db, log, told)
      if (uuid === undefined) return { uuid: await discovered(told, found) }
      await postFound(db, uuid, found, timestamp(clock.now()))
      await engine.wake(uuid, 'inspection data')
      return { uuid }
    },

    async storedImages() {
      const images = await listImages(config.pxe.instance_master_path)
      return {
        host: hostname,
        limit_bytes: config.pxe.image_cache_size * 1024 * 1024,
        images: images.map(({ id, source, format, sizeBytes, bytes, chunked, inUse, usedAtMs }) => ({
          ...{ id, source, format, size_bytes: sizeBytes, stored_bytes: bytes, chunked },
          ...{ in_use: inUse, used_at: timestamp(usedAtMs) },
        })),
      }
    },
    allocate: uuid => allocator.search(uuid),
    async agentCalled(uuid, token, command) {
      heartbeatsHeard.tell({ news: false })
      heartbeats.note(uuid, token)
      await engine.heard(uuid, command)
    },
    wake(uuid, event) {
      if (event === 'heartbeat') heartbeatsHeard.tell({ news: true })
      return engine.wake(uuid, event)
    },

    portsChanged: node => options.portsChanged(node),
  }
  return service

  /** Tells the node's history of work that was done, or that failed; what was refused did not happen. */
  async function telling<T>(node: Node, { purpose, told, caller }: Action, work: Promise<T>): Promise<T> {
    const startedMs = clock.now()
    const tell = async (error?: string): Promise<void> => {
      const nowMs = clock.now()
      // Whatever moves a node along the state table is told as that, and not here.
      const data = {
        purpose,
        conductor: hostname,
        ...actionTold({ told, caller, node, tookMs: nowMs - startedMs, error }),
      }
      await appendEvent(db, { nowMs, node_uuid: node.uuid, kind: 'action', data })
    }
    try {
      const result = await work
      await tell()
      return result
    } catch (error) {
      if (error instanceof Fault && error.status >= 500) await tell(error.message)
      throw error
    }
  }

  /** From a failed state, or back from available: only the state changes. */
  async function manage(node: Node, caller: Caller): Promise<void> {
    await service.withNode(node.uuid, 'manage', async held => {
      const nowMs = clock.now()
      const moved = movedFields(held.node, 'manage', undefined, nowMs)
      await held.write(moved)
      const data = { ...moveTold(held.node, moved, nowMs), ...asked(caller), conductor: hostname }
      await appendEvent(db, { nowMs, node_uuid: node.uuid, kind: 'provision state', data })
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

  /** What validating the node's interfaces says against it. */
  async function problems(node: Node): Promise<Problem[]> {
    const ctx = await nodeContext(await withChosenDeploy(await nodeContext(node), registry, 'deploy'))
    const found = await Promise.all(
      interfaceTypes.map(async (type): Promise<Problem | undefined> => {
        try {
          await ctx.interfaces[type].validate(ctx)
          return undefined
        } catch (error) {
          if (!(error instanceof Fault) || error instanceof Unsupported) return undefined
          return { interface: type, code: error.code, message: error.message }
        }
      }),
    )
    return found.filter(problem => problem !== undefined)
  }

  /** A node in maintenance goes, whatever is left of it elsewhere. */
  async function forgetInventory({ uuid, maintenance }: Node): Promise<void> {
    try {
      await dropInventory({ db, config, signal: never, shared: shared.get }, uuid)
    } catch (error) {
      if (!maintenance) throw error
      log.warn({ node: uuid }, `inspection data of a node that goes is left behind: ${messageOf(error)}`)
    }
  }

  /** A driver that is not enabled any more sends nothing. */
  async function forgetMedia(node: Node): Promise<void> {
    try {
      const ctx = await nodeContext(node)
      ctx.interfaces.management.virtualMedia?.forget?.(ctx)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
    }
  }

  /** Makes a node of an unknown machine, where that is wanted. @throws NotFound where it is not */
  async function discovered(told: Told, found: Found): Promise<string> {
    if (!config.auto_discovery.enabled) throw nobody()
    const { uuid, isNew } = await discovery.enrol(told, found)
    // The work on one that is known already has begun, unless a process died in between.
    const isLeft = !isNew && (await findNode(db, uuid))?.lease === null && (await foundAt(db, uuid)) !== undefined
    if (!isNew && !isLeft) return uuid
    const discoverer: Caller = { user: 'discovery', project: null, requestId: null }
    await engine.begin({ nodeUuid: uuid, kind: 'discover', args: {}, event: null, caller: discoverer }).catch(error => {
      if (!(error instanceof NodeLocked)) throw error
    })
    return uuid
  }
}
