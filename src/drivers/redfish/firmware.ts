/**
 * Firmware over Redfish: which versions a machine has, and updates of its BIOS, BMC and network cards, one after the other.
 * What a part needs to take its new firmware differs, and is data here. Waits are the flow's, so that an update goes on
 * where it was when the conductor starts again.
 *
 * Source: cleaning facts, "Firmware" (ironic/drivers/modules/redfish/firmware.py restated).
 */
import { saveFirmware } from '#db/hardware-settings.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import type { FirmwareInterface, FlowContext } from '../driver.ts'
import { objectIn } from '../inspection/hook.ts'
import { bmcPatienceMs, mayPass, patiently } from '../patience.ts'
import type { Step } from '../step.ts'
import { validateDriverInfo } from './driver-info.ts'
import { readComponents } from './firmware-components.ts'
import { settleDown, startAnew } from './restart.ts'
import { type FirmwareImage, removeStaged, simpleUpdate, stage } from './simple-update.ts'
import { askOnce, awaitLongTask } from './task-flow.ts'
import { BmcTaskFailed, type TaskView } from './tasks.ts'

export interface Update extends FirmwareImage {
  /** `bios`, `bmc`, `nic:ID`, or `other`: what the image is for only the BMC knows. */
  component: string
  /** Seconds to wait after it; null: as configured. */
  waitS: number | null
}

/** How a part takes its firmware. */
interface Manner {
  /** The machine is started anew when the task is so far; null: never for its sake. */
  startsAt: ((view: TaskView) => boolean) | null
  /** Its version is looked for afterwards, for it changes when the BMC itself has started again. */
  awaitsVersion: boolean
}

const manners: Readonly<Record<string, Manner>> = {
  // As soon as the BMC has the image it waits for the machine's start; some end the task then, or forget it.
  bios: { startsAt: view => view.state !== 'new', awaitsVersion: false },
  bmc: { startsAt: null, awaitsVersion: true },
  // Cards that can be written at once run; others stay at their start until the machine has started.
  nic: { startsAt: view => view.state === 'starting', awaitsVersion: false },
  other: { startsAt: view => view.state !== 'new', awaitsVersion: false },
}

const update: Step = {
  interface: 'firmware',
  step: 'update',
  priority: 0,
  kinds: ['clean', 'deploy', 'service'],
  abortable: false,
  requires_ramdisk: false,
  argsinfo: {
    settings: {
      description: 'List of updates, done in this order: [{"component": "bios", "url": …, "wait": seconds}, …].',
      required: true,
    },
  },
  async run(ctx, { settings }) {
    await updateAll(ctx, updatesOf(settings))
  },
}

/** The updates of the step's arguments. @throws InvalidInput naming what is wrong */
function updatesOf(settings: unknown): Update[] {
  if (!Array.isArray(settings) || settings.length === 0) {
    throw new InvalidInput('Cannot update firmware: settings is no list, expected [{"component": …, "url": …}, …]')
  }
  return settings.map((one, index) => {
    const { component, url, wait, checksum } = objectIn(one)
    const problem = (what: string) => new InvalidInput(`Cannot update firmware: settings[${index}] ${what}`)
    const isKnown = typeof component === 'string' && (['bios', 'bmc'].includes(component) || /^nic:./.test(component))
    if (!isKnown) throw problem(`is for ${JSON.stringify(component)}, expected bios, bmc or nic:ID`)
    if (typeof url !== 'string' || !URL.canParse(url)) throw problem('has no url, expected that of an image')
    if (wait !== undefined && !(Number(wait) > 0)) throw problem(`has wait ${JSON.stringify(wait)}, expected seconds`)
    return {
      component,
      url,
      checksum: typeof checksum === 'string' ? checksum : null,
      source: null,
      waitS: wait === undefined ? null : Number(wait),
    }
  })
}

/** Carries updates out. Their components must be of this machine. @throws InvalidInput, BmcTaskFailed */
export async function updateAll(ctx: FlowContext, updates: readonly Update[]): Promise<void> {
  const name = ctx.stepId ?? 'firmware.update'
  await ctx.flow.once(`${name}: check`, async () => {
    const now = await ctx.fresh()
    const known = await patiently(now, bmcPatienceMs, () => readComponents(now))
    for (const { component } of updates) {
      if (component === 'other' || known.some(one => isSame(one, component))) continue
      const has = known.map(one => one.component).join(', ') || 'none'
      throw new InvalidInput(`Cannot update ${component} of node ${now.node.uuid}: its BMC knows the components ${has}`)
    }
  })
  for (const [index, each] of updates.entries()) await updateOne(ctx, `${name}: ${index + 1} ${each.component}`, each)
  await ctx.flow.once(`${name}: keep`, async () => {
    const now = await ctx.fresh()
    await removeStaged(now)
    const components = await patiently(now, bmcPatienceMs, () => readComponents(now))
    await saveFirmware(now.db, ctx.flow.nodeUuid, components, timestamp(now.clock.now()))
  })
}

async function updateOne(ctx: FlowContext, name: string, each: Update): Promise<void> {
  const { flow, config } = ctx
  const { redfish } = config
  const manner = manners[each.component.split(':')[0] ?? ''] ?? { startsAt: null, awaitsVersion: false }
  const before = await flow.once(`${name}: version before`, () => versionOf(ctx, each.component))
  const task = await askOnce(ctx, name, async now => simpleUpdate(now, await stage(now, each)))
  if (task !== null) {
    const timeoutMs = redfish.firmware_update_overall_timeout * 1000
    const everyMs = Math.max(1, Math.min(5, redfish.firmware_update_status_interval)) * 1000
    const wait = { what: `Update of ${each.component}`, path: task, everyMs, timeoutMs }
    const { startsAt } = manner
    const first = await awaitLongTask(ctx, { ...wait, name: `${name}: begun`, ...(startsAt && { until: startsAt }) })
    if (startsAt?.(first)) {
      await startAnew(ctx, name)
      await awaitLongTask(ctx, { ...wait, name: `${name}: done` })
      await settleDown(ctx, name)
    }
  }
  if (manner.awaitsVersion) await versionChanged(ctx, name, each, before)
  if (each.waitS !== null && !manner.awaitsVersion) await pause(ctx, name, each.waitS)
  await bmcIsBack(ctx, name)
}

/** A BMC starts with its new firmware a while after its task ended. One that keeps its version had it already. */
async function versionChanged(ctx: FlowContext, name: string, each: Update, before: string | null): Promise<void> {
  const { flow, clock, config } = ctx
  const limitS = each.waitS ?? config.redfish.firmware_update_bmc_timeout
  const endMs = await flow.once(`${name}: version until`, async () => clock.now() + limitS * 1000)
  const everyMs = Math.max(1, Math.min(5, config.redfish.firmware_update_bmc_version_check_interval)) * 1000
  const onTimeout = () => new InvalidInput('unreachable: this wait has no limit')
  await flow.until(`${name}: version`, { everyMs, timeoutMs: 0, onTimeout }, async () => {
    const version = await versionOf(ctx, each.component).catch(error => {
      if (!mayPass(error)) throw error
      return before
    })
    if (version !== before) return version ?? ''
    return clock.now() >= endMs ? (before ?? '') : undefined
  })
}

async function pause(ctx: FlowContext, name: string, seconds: number): Promise<void> {
  const { flow, clock } = ctx
  const endMs = await flow.once(`${name}: rest until`, async () => clock.now() + seconds * 1000)
  const onTimeout = () => new InvalidInput('unreachable: this wait has no limit')
  await flow.until(`${name}: rest`, { everyMs: 1000, timeoutMs: 0, onTimeout }, async () =>
    clock.now() >= endMs ? true : undefined,
  )
}

/** Several good answers in a row: BMCs that start anew answer now and then before they are there. */
async function bmcIsBack(ctx: FlowContext, name: string): Promise<void> {
  const { flow, config } = ctx
  const { redfish } = config
  const { firmware_update_required_successes: needed, firmware_update_resource_validation_timeout: limitS } = redfish
  const everyMs = redfish.firmware_update_validation_interval * 1000
  if (needed === 0 || limitS === 0) return
  let good = 0
  let seen = ''
  const onTimeout = () =>
    new BmcTaskFailed(`The BMC of node ${flow.nodeUuid} is not back ${limitS} s after an update: ${seen}`)
  await flow.until(`${name}: back`, { everyMs, timeoutMs: limitS * 1000, onTimeout }, async () => {
    const now = await ctx.fresh()
    try {
      await readComponents(now)
      good += 1
    } catch (error) {
      if (!mayPass(error)) throw error
      seen = messageOf(error)
      good = 0
    }
    return good >= needed ? true : undefined
  })
}

async function versionOf(ctx: FlowContext, component: string): Promise<string | null> {
  const now = await ctx.fresh()
  const components = await patiently(now, bmcPatienceMs, () => readComponents(now))
  return components.find(one => isSame(one, component))?.current_version ?? null
}

/** A network card may be named by its ID or by its serial number. */
function isSame(
  { component, serial_number }: { component: string; serial_number: string | null },
  asked: string,
): boolean {
  return component === asked || (asked.startsWith('nic:') && asked.slice('nic:'.length) === serial_number)
}

export default { validate: validateDriverInfo, steps: [update], readComponents } satisfies FirmwareInterface
