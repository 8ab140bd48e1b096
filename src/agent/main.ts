/**
 * The agent: started by the ramdisk's init, started again whenever it ends. Three loops that share nothing but the
 * command record: heartbeat, HTTP server, one command at a time.
 *
 * The order of the start is the protocol's: options, hardware, inspection, lookup, certificate, API, heartbeat. What an
 * earlier process of the same boot had learnt comes from the store, so that its end was no more than a pause.
 *
 * Source: openstack/ironic-python-agent `cmd/agent.py`, `agent.py`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread } from 'node:worker_threads'
import { messageOf } from '#lib/fault.ts'
import { type LookupAnswer, LookupAnswer as LookupAnswerSchema } from '#protocol/agent.ts'
import { correctClock } from './clock.ts'
import { CommandBoard } from './commands.ts'
import { bootOptions } from './configuration.ts'
import { type AgentContext, agentVersion } from './context.ts'
import { otherExtensions } from './extensions/others.ts'
import { standbyCommands } from './extensions/standby.ts'
import { stepCommands } from './extensions/steps.ts'
import { declaredSteps } from './hardware/container-steps.ts'
import { containerManager } from './hardware/containers.ts'
import { selectHardware } from './hardware/dispatch.ts'
import { genericManager } from './hardware/generic.ts'
import { lldpListenerFlag } from './hardware/lldp-listener.ts'
import type { Hardware } from './hardware/manager.ts'
import { plugIns } from './hardware/plug-in.ts'
import { type HeartbeatLoop, startHeartbeat } from './heartbeat.ts'
import { cleanUpAfterCrash } from './image/image-record.ts'
import { inspect, inspectionUrls } from './inspection.ts'
import { ApiRefused, IronicApi } from './ironic-api.ts'
import { openLog } from './log.ts'
import { LogStream } from './log-stream.ts'
import { applyLookup, chooseToken, lookupNode } from './lookup.ts'
import { resolveByMdns } from './mdns.ts'
import { makePresence } from './presence.ts'
import { agentApi } from './server.ts'
import { readSettings } from './settings.ts'
import { lookupFile, Store, tokenFile } from './store.ts'

/** Runs until `signal` is aborted. Resolves when there is nothing to do any more; rejects when the start failed. */
export async function runAgent(args: readonly string[], signal: AbortSignal, told?: LogStream): Promise<void> {
  const startedAt = Date.now() / 1000
  const settings = readSettings(args, process.env)
  const options = await bootOptions(settings)
  const store = new Store(settings.stateDir)
  const log = openLog(store.path('agent.log'), options)
  const context: AgentContext = { options, settings, store, log, node: null }
  told?.learn(options)
  log.info(`Ferrite agent ${agentVersion} starts; API ${options.apiUrls.join(', ') || 'none given'}`)

  await cleanUpAfterCrash(context)
  await resolveByMdns(options, log)
  await correctClock(context)
  const others = [genericManager(context), ...(await plugIns(context))]
  const taken = [...others, containerManager()].flatMap(({ steps }) => steps.map(({ step }) => step))
  const containers = containerManager(await declaredSteps(context, taken))
  const hardware = await selectHardware(context, [containers, ...others])
  await sleep(options.hardwareDelayMs, undefined, { signal })

  const resumed = store.read(lookupFile, LookupAnswerSchema)
  const inspectedUuid = resumed === null ? await inspectIfAsked(context, hardware, signal) : null
  if (options.apiUrls.length === 0) {
    log.info('No API URL: nothing more to do')
    return
  }

  const api = new IronicApi(context)
  const lookup = async (nodeUuid: string | null) => {
    const addresses = () => hardware.call('listMacAddresses')
    return adopt(context, await lookupNode(context, api, { addresses, nodeUuid, signal }))
  }
  let answer = resumed ?? (await lookup(inspectedUuid))
  if (resumed !== null) {
    log.info(`Going on as node ${resumed.node.uuid} after a restart of the agent process`)
    applyLookup(context, resumed)
  }

  const token = () => store.readText(tokenFile) ?? options.agentToken
  let heartbeat: HeartbeatLoop | null = null
  const stop = new AbortController()
  const board: CommandBoard = new CommandBoard(
    context,
    {
      clean: stepCommands('clean', hardware),
      deploy: stepCommands('deploy', hardware),
      service: stepCommands('service', hardware),
      standby: standbyCommands(hardware),
      ...otherExtensions({
        hardware,
        stopServing: async () => {
          stop.abort()
          presence.server.close()
          presence.server.closeAllConnections()
        },
        runNested: (request, running) => board.runNested(request, running),
      }),
    },
    () => heartbeat?.force(),
  )
  const handle = agentApi({
    ...{ board, token, version: agentVersion, startedAt, log },
    readsWithoutToken: () => api.readsWithoutToken(),
  })
  const presence = await makePresence(context, { api, handle, signal })
  await presence.open()

  heartbeat = startHeartbeat({
    send: async () => {
      await presence.refresh()
      await api.heartbeat(answer.node.uuid, presence.heartbeat(token()), board.isWorking ? 'running' : 'none')
    },
    timeoutMs: () => answer.config.heartbeat_timeout * 1000,
    onFailure: async error => {
      // The node was deleted and perhaps enrolled anew: whoever this machine is now, the API knows.
      if (!(error instanceof ApiRefused && error.apiStatus === 404)) return 'wait'
      const found = await lookup(null).catch(failure => void log.warn(messageOf(failure)))
      if (found === undefined) return 'wait'
      answer = found
      return 'retry'
    },
    log,
    signal: AbortSignal.any([signal, stop.signal]),
  })
  await heartbeat.ended
  if (stop.signal.aborted) await idle(signal)
  board.stop()
  presence.server.close()
  presence.server.closeAllConnections()
}

/** Learns token, node and options from an answer, and keeps what a restarted process must know. */
function adopt(context: AgentContext, answer: LookupAnswer): LookupAnswer {
  const { store, options } = context
  const token = chooseToken(answer.config, store.readText(tokenFile) ?? options.agentToken)
  if (token !== null) store.writeText(tokenFile, token)
  store.write(lookupFile, answer)
  applyLookup(context, answer)
  return answer
}

/** A failed inspection is the conductor's to notice; the machine may still be wanted for something else. */
async function inspectIfAsked(context: AgentContext, hardware: Hardware, signal: AbortSignal): Promise<string | null> {
  if (inspectionUrls(context).length === 0) return null
  try {
    return await inspect(context, hardware, signal)
  } catch (error) {
    context.log.error(messageOf(error))
    return null
  }
}

/** Stays until the process is told to end: a locked-down agent must not be started again by init. */
async function idle(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await sleep(3600_000, undefined, { signal }).catch(() => {})
}

async function main(): Promise<void> {
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort())
  const args = process.argv.slice(2)
  let told: LogStream | undefined
  try {
    // Before all that may fail, and after it: the log says why.
    told = LogStream.start(args, process.env, stop.signal)
    await runAgent(args, stop.signal, told)
    if (!stop.signal.aborted) await idle(stop.signal)
  } catch (error) {
    if (!stop.signal.aborted) {
      process.stderr.write(`ferrite-agent: ${error instanceof Error ? error.stack : String(error)}\n`)
      process.exitCode = 1
      await told?.finish()
      process.exit()
    }
  }
}

// The hashing threads of a bundled agent, and the process that listens for LLDP, load this very file.
if (isMainThread && process.argv[2] !== lldpListenerFlag) await main()
