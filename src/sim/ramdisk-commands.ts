/**
 * What the agent of a simulated ramdisk can do: the commands and steps of the real one, each taking its time from the
 * settings. Steps have the names and priorities of the generic hardware manager.
 *
 * Source: openstack/ironic-python-agent `extensions/`, `hardware.py`.
 */
import { gzipSync } from 'node:zlib'
import { Compile } from 'typebox/compile'
import type { Clock } from '#lib/clock.ts'
import { type AgentStep, ExecuteStepParams, type Inventory, type StepKind, stepKinds } from '#protocol/agent.ts'
import type { Chance } from './chance.ts'
import { type Command, type CommandSet, type Report, SimAgentError, VersionsDiffer } from './commands.ts'
import { takenFrom, takingTime, uuidsOf, type WrittenImage, writeImage } from './image.ts'
import type { Network } from './network.ts'
import type { Settings } from './settings.ts'

/** The machine as the ramdisk on it finds it. */
export interface Body {
  readonly inventory: Inventory
  /** What is on the root disk; null for nothing that boots. */
  disk: WrittenImage | null
  powerOff(): void
  restart(): void
  /** Stays on, but nothing answers any more. */
  hang(): void
  /** Leaves the conductor's network, as after a lockdown or when rescue is ready. */
  leaveNetwork(): void
}

export interface CommandWorld {
  body: Body
  settings: Settings
  network: Network
  clock: Clock
  chance: Chance
  /** Aborted when the agent's life ends. */
  signal: AbortSignal
  /** Called for each step that begins. */
  onStep(kind: StepKind, step: string): void
}

const manager = 'GenericHardwareManager'
const versions: Readonly<Record<string, string>> = { generic_hardware_manager: '1.2' }

/** A clean step that never ends; its agent sends heartbeats meanwhile. */
export const idleStep = 'idle'

const metadata = { step: 'erase_devices_metadata', interface: 'deploy' }
const writing = { step: 'write_image', interface: 'deploy' }
/** Puts something on the disk that the conductor knows nothing of. */
const writingCustom = { step: 'write_custom', interface: 'deploy' }
/** Takes the container for installed; nobody is asked for it. */
const installing = { step: 'execute_bootc_install', interface: 'deploy' }
/** Leaves the disk alone, and wants the ramdisk booted anew afterwards. */
const burning = { step: 'burnin_memory', interface: 'deploy' }
const offers = {
  clean: [
    { ...metadata, priority: 99, abortable: true },
    { step: 'erase_devices', interface: 'deploy', priority: 10, abortable: true },
    // Of the simulation's own: keeps an agent busy for as long as its machine runs.
    { step: idleStep, interface: 'deploy', priority: 0, abortable: true },
  ],
  deploy: [
    { ...metadata, priority: 0 },
    { ...writing, priority: 0 },
    { ...installing, priority: 0 },
    // As an operator's own hardware manager would offer it.
    { ...writingCustom, priority: 0, argsinfo: { image: { description: 'What to write.', required: true } } },
  ],
  service: [
    { ...writing, priority: 0, abortable: true },
    { ...burning, priority: 0, abortable: true, reboot_requested: true },
  ],
} satisfies Record<StepKind, AgentStep[]>

/** Time for an answer to leave before the machine goes away. */
const ANSWER_FIRST_MS = 50

export function ramdiskCommands(world: CommandWorld): CommandSet {
  const { body, clock, signal } = world
  const soon = (what: () => void) => void clock.sleep(ANSWER_FIRST_MS, signal).then(what, () => {}) // the life ended
  const steps = stepKinds.map(kind => stepCommands(kind, world))
  return {
    ...Object.assign({}, ...steps),
    'standby.prepare_image': async_((params, report) =>
      putImage(world, { image_info: params.image_info, configdrive: params.configdrive }, report),
    ),
    'standby.get_partition_uuids': sync(async () => (body.disk === null ? {} : uuidsOf(body.disk))),
    'standby.sync': sync(async () => null),
    'standby.power_off': async_(async () => soon(() => body.powerOff())),
    'standby.run_image': async_(async () => soon(() => body.restart())),
    'image.install_bootloader': async_(async () => null),
    'log.collect_system_logs': sync(async () => ({ system_logs: emptyArchive })),
    'poll.get_hardware_info': sync(async () => body.inventory),
    'rescue.finalize_rescue': sync(async () => soon(() => body.leaveNetwork())),
    'system.lockdown': sync(async () => soon(() => body.leaveNetwork())),
  }
}

const sync = (run: Command['run']): Command => ({ kind: 'sync', run })
const async_ = (run: Command['run']): Command => ({ kind: 'async', run })
/** A tar archive without members. */
const emptyArchive = gzipSync(Buffer.alloc(1024)).toString('base64')

const failureOf = { clean: 'CleaningError', deploy: 'DeploymentError', service: 'ServicingError' } as const
const stepParams = Compile(ExecuteStepParams)

function stepCommands(kind: StepKind, world: CommandWorld): CommandSet {
  return {
    [`${kind}.get_${kind}_steps`]: sync(async () => ({
      [`${kind}_steps`]: { [manager]: offers[kind] },
      hardware_manager_version: versions,
    })),
    [`${kind}.execute_${kind}_step`]: async_(async (params, report) => {
      if (!stepParams.Check(params)) {
        const [problem] = stepParams.Errors(params)
        const text = `Cannot run a ${kind} step: ${problem?.instancePath || 'params'} ${problem?.message}`
        throw new SimAgentError(failureOf[kind], text)
      }
      const { step } = params
      checkVersions(params[`${kind}_version` as keyof typeof params])
      if (!offers[kind].some(offer => offer.step === step.step)) {
        throw new SimAgentError('HardwareManagerMethodNotFound', `No hardware manager has the method ${step.step}`)
      }
      world.onStep(kind, step.step)
      const result = await runStep(kind, step.step, step.args ?? {}, world, report)
      const echo = { interface: step.interface ?? 'deploy', step: step.step }
      return { [`${kind}_result`]: result, [`${kind}_step`]: echo }
    }),
  }
}

/** Absent or null: the caller does not care. */
function checkVersions(wanted: unknown): void {
  if (typeof wanted !== 'object' || wanted === null) return
  const names = new Set([...Object.keys(wanted), ...Object.keys(versions)])
  const asked = wanted as Record<string, unknown> // an object; values are only compared
  if ([...names].every(name => asked[name] === versions[name])) return
  throw new VersionsDiffer(`Steps were listed with ${JSON.stringify(wanted)}, now there is ${JSON.stringify(versions)}`)
}

async function runStep(
  kind: StepKind,
  step: string,
  args: Record<string, unknown>,
  world: CommandWorld,
  report: Report,
): Promise<unknown> {
  const { body, settings, clock, chance, signal } = world
  const { delayMs, rate } = settings
  if (step === idleStep) return await untilAborted(signal)
  const isLong = step === 'write_image' || step === 'erase_devices'
  const durationMs = chance.within(isLong ? delayMs.write : delayMs.step)
  const fails = chance.happens(rate.stepFails)
  if (chance.happens(rate.agentDies)) {
    await clock.sleep(durationMs / 2, signal)
    body.hang()
    signal.throwIfAborted()
  }
  if (fails) {
    await clock.sleep(durationMs / 2, signal)
    throw new SimAgentError(failureOf[kind], `Simulated failure of step ${step}`)
  }
  if (step === 'write_image') {
    return await putImage(world, { image_info: args.image_info, configdrive: args.configdrive }, report, durationMs)
  }
  if (step === writingCustom.step || step === installing.step) {
    await clock.sleep(durationMs, signal)
    body.disk = takenFrom(String(args.image ?? args.image_source))
    return null
  }
  // From its first write on the disk holds nothing that boots.
  if (step !== burning.step) body.disk = null
  const totalBytes = body.inventory.disks.reduce((sum, disk) => sum + disk.size, 0)
  if (isLong) await takingTime({ clock, signal, durationMs, report }, { phase: 'erase', totalBytes })
  else await clock.sleep(durationMs, signal)
  return null
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}

async function putImage(
  { body, settings, network, clock, chance, signal }: CommandWorld,
  given: { image_info: unknown; configdrive: unknown },
  report: Report,
  durationMs = chance.within(settings.delayMs.write),
): Promise<{ result: string }> {
  body.disk = null
  const written = await writeImage(given.image_info, typeof given.configdrive === 'string' ? given.configdrive : null, {
    network,
    clock,
    signal,
    durationMs,
    fetches: settings.agent.fetchesImages,
    capacityBytes: body.inventory.disks[0]?.size ?? 0,
    report,
  })
  body.disk = written
  const { id, rootUuid } = written
  return {
    result: `prepare_image: image (${id}) written to device ${body.inventory.disks[0]?.name} root_uuid=${rootUuid}`,
  }
}
