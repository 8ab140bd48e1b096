/**
 * RAID over Redfish: volumes of the machine's controllers are made and deleted by steps. Some controllers do so at once, by
 * a task, others at the machine's next start, which the step causes. A failed task fails the step.
 *
 * Source: cleaning facts, "RAID" (ironic/drivers/modules/redfish/raid.py restated); DMTF DSP2046, Storage, Volume. Beyond
 * it: waits are the flow's own, so that they go on in every state and after a restart of the conductor.
 */
import { InvalidInput } from '#lib/fault.ts'
import { isTrue } from '#lib/truth.ts'
import { timestamp } from '#protocol/field.ts'
import type { FlowContext, RaidInterface } from '../driver.ts'
import { bmcPatienceMs, patiently } from '../patience.ts'
import type { Step } from '../step.ts'
import { validateDriverInfo } from './driver-info.ts'
import { checkLogicalDisks, type LogicalDisk, type PlannedVolume, planVolumes } from './raid-plan.ts'
import { type RaidController, readControllers } from './raid-resources.ts'
import { settleDown, startAnew } from './restart.ts'
import { readSystem } from './system.ts'
import { askOnce, awaitLongTask } from './task-flow.ts'
import { type TaskView, taskPath } from './tasks.ts'

const flag = (description: string) => ({ description, required: false })

const createConfiguration: Step = {
  interface: 'raid',
  step: 'create_configuration',
  priority: 0,
  kinds: ['clean'],
  abortable: false,
  requires_ramdisk: false,
  argsinfo: {
    create_root_volume: flag('Make the root volume. Default: true.'),
    create_nonroot_volumes: flag('Make the other volumes. Default: true.'),
    delete_existing: flag('Delete the volumes that there are first. Default: false.'),
  },
  async run(ctx, args) {
    const asked = (name: string, otherwise: boolean) => flagOf(args, name) ?? otherwise
    const disks = disksOf((await ctx.fresh()).node.target_raid_config)
    if (disks.length === 0) {
      throw new InvalidInput(`Cannot make the RAID of node ${ctx.node.uuid}: target_raid_config is empty`)
    }
    const root = asked('create_root_volume', true)
    const others = asked('create_nonroot_volumes', true)
    const wanted = disks.filter(disk => (disk.is_root_volume === true ? root : others))
    await configure(ctx, wanted, { deleteExisting: asked('delete_existing', false) })
  },
}

const applyConfiguration: Step = {
  interface: 'raid',
  step: 'apply_configuration',
  priority: 0,
  kinds: ['deploy', 'service'],
  abortable: false,
  requires_ramdisk: false,
  argsinfo: {
    raid_config: { description: 'The configuration, as target_raid_config has it.', required: true },
    create_root_volume: flag('Make the root volume. Default: true.'),
    create_nonroot_volumes: flag('Make the other volumes. Default: true.'),
    delete_existing: flag('Delete the volumes that there are first. Default: true.'),
  },
  async run(ctx, args) {
    const disks = disksOf(args.raid_config)
    const root = flagOf(args, 'create_root_volume') ?? true
    const others = flagOf(args, 'create_nonroot_volumes') ?? true
    const wanted = disks.filter(disk => (disk.is_root_volume === true ? root : others))
    await configure(ctx, wanted, { deleteExisting: flagOf(args, 'delete_existing') ?? true })
  },
}

const deleteConfiguration: Step = {
  interface: 'raid',
  step: 'delete_configuration',
  priority: 0,
  kinds: ['clean', 'deploy', 'service'],
  abortable: false,
  requires_ramdisk: false,
  argsinfo: null,
  run: ctx => configure(ctx, [], { deleteExisting: true }),
}

export default {
  validate: validateDriverInfo,
  validateConfig: (_ctx, config) => checkLogicalDisks(disksOf(config)),
  steps: [createConfiguration, applyConfiguration, deleteConfiguration],
} satisfies RaidInterface

async function configure(
  ctx: FlowContext,
  wanted: readonly LogicalDisk[],
  { deleteExisting }: { deleteExisting: boolean },
): Promise<void> {
  const name = ctx.stepId ?? 'raid'
  if (deleteExisting) await deleteAll(ctx, name)
  const planned = await ctx.flow.once(`${name}: plan`, async () => {
    const controllers = await look(ctx)
    return planVolumes(
      wanted,
      controllers.flatMap(controller => controller.drives),
    )
  })
  const waiting: Waiting[] = []
  for (const [index, volume] of planned.entries()) {
    const id = `${name}: volume ${index + 1}`
    const task = await askOnce(ctx, id, now => create(now, volume))
    waiting.push(...(await started(ctx, id, `Volume ${volume.name}`, task)))
  }
  await atNextStart(ctx, `${name}: made`, waiting)
  await keepConfig(ctx, name, planned)
}

async function deleteAll(ctx: FlowContext, name: string): Promise<void> {
  const { flow } = ctx
  const paths = await flow.once(`${name}: volumes`, async () => {
    return (await look(ctx)).flatMap(controller => controller.volumes.map(volume => volume.path))
  })
  const waiting: Waiting[] = []
  for (const [index, path] of paths.entries()) {
    const id = `${name}: delete ${index + 1}`
    const task = await askOnce(ctx, id, async now => {
      const isThere = (await look(ctx)).some(one => one.volumes.some(volume => volume.path === path))
      if (!isThere) return null // it went before we could write that down
      const { client } = await readSystem(now)
      return taskPath(client, await client.delete(path, now.signal))
    })
    waiting.push(...(await started(ctx, id, `Deletion of ${path}`, task)))
  }
  await atNextStart(ctx, `${name}: deleted`, waiting)
}

type Waiting = { id: string; what: string; task: string }

/** The path of its task; null when it is made. One of that name was made by a process that could not write it down. */
async function create(now: FlowContext, volume: PlannedVolume): Promise<string | null> {
  const controller = (await look(now)).find(one => one.id === volume.controller)
  if (!controller) throw new InvalidInput(`Cannot make volume ${volume.name}: controller ${volume.controller} is gone`)
  if (controller.volumes.some(one => one.name === volume.name && one.raidType === volume.raidType)) return null
  const { client } = await readSystem(now)
  const { applyTimes } = controller
  const time = applyTimes.includes('Immediate') ? 'Immediate' : applyTimes.includes('OnReset') ? 'OnReset' : null
  const body = {
    Name: volume.name,
    RAIDType: volume.raidType,
    CapacityBytes: volume.sizeBytes,
    Links: { Drives: volume.drives.map(path => ({ '@odata.id': path })) },
    ...(time === null ? {} : { '@Redfish.OperationApplyTime': time }),
  }
  return taskPath(client, await client.post(controller.volumesPath, body, now.signal))
}

const timeoutMs = 3600_000

/** Waits for work that is done at once; hands back what waits for a start of the machine, by the task's own word. */
async function started(ctx: FlowContext, id: string, what: string, task: string | null): Promise<Waiting[]> {
  if (task === null) return []
  const until = (view: TaskView) => view.state === 'new'
  const view = await awaitLongTask(ctx, {
    name: `${id}: begun`,
    what,
    path: task,
    everyMs: pollMs(ctx),
    timeoutMs,
    until,
  })
  return view.state === 'new' ? [{ id, what, task }] : []
}

async function atNextStart(ctx: FlowContext, name: string, waiting: readonly Waiting[]): Promise<void> {
  if (waiting.length === 0) return
  await startAnew(ctx, name)
  for (const { id, what, task } of waiting) {
    await awaitLongTask(ctx, { name: `${id}: done`, what, path: task, everyMs: pollMs(ctx), timeoutMs })
  }
  await settleDown(ctx, name)
}

/** Often, as most tasks take seconds; [redfish] raid_config_status_interval is the most. */
const pollMs = ({ config }: FlowContext) => Math.max(1, Math.min(5, config.redfish.raid_config_status_interval)) * 1000

async function look(ctx: FlowContext): Promise<RaidController[]> {
  const now = await ctx.fresh()
  return patiently(now, bmcPatienceMs, () => readControllers(now))
}

/** Writes down which volumes there are, and what of them an instance depends on. */
async function keepConfig(ctx: FlowContext, name: string, planned: readonly PlannedVolume[]): Promise<void> {
  await ctx.flow.once(`${name}: keep`, async () => {
    const controllers = await look(ctx)
    const { node, clock } = await ctx.fresh()
    const logical_disks = controllers.flatMap(controller =>
      controller.volumes.map(volume => {
        const own = planned.find(one => one.name === volume.name)
        return {
          controller: controller.id,
          id: volume.id,
          name: volume.name,
          raid_level: own?.disk.raid_level ?? volume.raidType,
          size_gb: Math.floor(volume.sizeBytes / 1024 ** 3),
          ...(own?.disk.is_root_volume === true ? { is_root_volume: true } : {}),
        }
      }),
    )
    const root = planned.find(volume => volume.disk.is_root_volume === true)
    const local = root ? { local_gb: Math.floor(root.sizeBytes / 1024 ** 3) } : {}
    await ctx.flow.write({
      raid_config: { logical_disks, last_updated: timestamp(clock.now()) },
      properties: { ...node.properties, ...local },
    })
  })
}

function disksOf(config: unknown): LogicalDisk[] {
  const disks = typeof config === 'object' && config !== null && 'logical_disks' in config ? config.logical_disks : []
  if (!Array.isArray(disks)) throw new InvalidInput('Cannot read the RAID configuration: logical_disks is no list')
  for (const [index, disk] of disks.entries()) {
    const fits = typeof disk === 'object' && disk !== null && 'raid_level' in disk && 'size_gb' in disk
    if (!fits)
      throw new InvalidInput(`Cannot read the RAID configuration: logical_disks[${index}] lacks raid_level or size_gb`)
  }
  return disks as LogicalDisk[] // target_raid_config is checked by its schema, an argument by checkLogicalDisks()
}

function flagOf(args: Readonly<Record<string, unknown>>, name: string): boolean | undefined {
  const given = args[name]
  if (given === undefined || given === null) return undefined
  const value = isTrue(given)
  if (value !== undefined) return value
  throw new InvalidInput(`Cannot make the RAID: ${name} is ${JSON.stringify(given)}, expected true or false`)
}
