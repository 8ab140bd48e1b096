/**
 * Steps of the management interface: secure boot keys, the BMC's clock, and firmware by a list of images whatever they are
 * for, as Ironic's older step has it.
 *
 * Source: drivers facts, "Redfish" (ironic/drivers/modules/redfish/management.py restated).
 */
import { Type } from 'typebox'
import { InvalidInput } from '#lib/fault.ts'
import type { FlowContext, NodeContext } from '../driver.ts'
import { objectIn } from '../inspection/hook.ts'
import { bmcPatienceMs, patiently } from '../patience.ts'
import { noPower } from '../planned-power.ts'
import type { Step } from '../step.ts'
import { Asker } from './asker.ts'
import { reader } from './client.ts'
import { type Update, updateAll } from './firmware.ts'
import { Text } from './maybe.ts'
import { type KeyReset, resetKeys } from './secure-boot.ts'
import { managersOf, readSystem } from './system.ts'

const common = { interface: 'management', abortable: false, requires_ramdisk: false } as const

function keys(step: string, how: KeyReset): Step {
  const run = (ctx: FlowContext) => onBmc(ctx, step, now => resetKeys(now, how))
  return { ...common, step, priority: 0, kinds: ['clean', 'deploy'], argsinfo: null, run }
}

const setBmcClock: Step = {
  ...common,
  step: 'set_bmc_clock',
  priority: 0,
  kinds: ['clean'],
  argsinfo: {
    target_datetime: { description: 'Time in ISO 8601. Default: now, in UTC.', required: false },
    datetime_local_offset: { description: 'Offset of the BMC’s zone, such as +00:00.', required: false },
  },
  async run(ctx, { target_datetime: given, datetime_local_offset: offset }) {
    if (given !== undefined && Number.isNaN(Date.parse(String(given)))) {
      throw new InvalidInput(
        `Cannot set the BMC's clock: target_datetime is ${JSON.stringify(given)}, expected ISO 8601`,
      )
    }
    await onBmc(ctx, 'set_bmc_clock', now => setClock(now, { at: given === undefined ? null : String(given), offset }))
  },
}

const verifyBmcClock: Step = {
  ...common,
  step: 'verify_bmc_clock',
  priority: 1,
  kinds: ['verify'],
  plannedPower: noPower,
  argsinfo: null,
  async run(ctx) {
    if (!ctx.config.redfish.enable_verify_bmc_clock) return
    await onBmc(ctx, 'verify_bmc_clock', now => setClock(now, { at: null, offset: '+00:00' }))
  },
}

const updateFirmware: Step = {
  ...common,
  step: 'update_firmware',
  priority: 0,
  kinds: ['clean', 'service'],
  argsinfo: {
    firmware_images: {
      description: 'List of images, in order: [{"url": …, "checksum": …, "wait": seconds, "source": "http"}, …].',
      required: true,
    },
    firmware_source: { description: 'http or local, for images that do not say.', required: false },
  },
  async run(ctx, { firmware_images: images, firmware_source: source }) {
    await updateAll(ctx, imagesOf(images, source))
  },
}

export const managementSteps: readonly Step[] = [
  keys('reset_secure_boot_keys_to_default', 'ResetAllKeysToDefault'),
  keys('clear_secure_boot_keys', 'DeleteAllKeys'),
  setBmcClock,
  verifyBmcClock,
  updateFirmware,
]

async function onBmc(ctx: FlowContext, name: string, work: (now: NodeContext) => Promise<void>): Promise<void> {
  await ctx.flow.once(ctx.stepId ?? name, async () => {
    const now = await ctx.fresh()
    await patiently(now, bmcPatienceMs, () => work(now))
  })
}

const manager = reader('manager', Type.Object({ DateTime: Text, DateTimeLocalOffset: Text }))

/** A clock that is off by less is right: the answer takes its time. */
const toleranceMs = 5000

async function setClock(ctx: NodeContext, { at, offset }: { at: string | null; offset: unknown }): Promise<void> {
  const located = await readSystem(ctx)
  const { client } = located
  for (const path of await managersOf(located, new Asker(client, ctx.signal))) {
    const { resource, etag } = await client.get(path, manager, { signal: ctx.signal, fresh: true })
    if (!resource.DateTime) continue
    const wanted = at ?? new Date(ctx.clock.now()).toISOString().replace(/\.\d+Z$/, '+00:00')
    const isRight = at === null && Math.abs(Date.parse(resource.DateTime) - ctx.clock.now()) <= toleranceMs
    if (isRight) return
    const zone = typeof offset === 'string' && offset !== '' ? { DateTimeLocalOffset: offset } : {}
    await client.patch(path, { DateTime: wanted, ...zone }, { signal: ctx.signal, etag })
    return
  }
}

function imagesOf(images: unknown, source: unknown): Update[] {
  if (!Array.isArray(images) || images.length === 0) {
    throw new InvalidInput(
      'Cannot update firmware: firmware_images is no list, expected [{"url": …, "checksum": …}, …]',
    )
  }
  return images.map((one, index) => {
    const { url, checksum, wait, source: own } = objectIn(one)
    const problem = (what: string) => new InvalidInput(`Cannot update firmware: firmware_images[${index}] ${what}`)
    if (typeof url !== 'string' || !URL.canParse(url)) throw problem('has no url, expected that of an image')
    if (typeof checksum !== 'string' || checksum === '') throw problem('has no checksum')
    if (wait !== undefined && !(Number(wait) > 0)) throw problem(`has wait ${JSON.stringify(wait)}, expected seconds`)
    const from = own ?? source ?? null
    if (from !== null && from !== 'http' && from !== 'local')
      throw problem(`has source ${JSON.stringify(from)}, expected http or local`)
    return { component: 'other', url, checksum, source: from, waitS: wait === undefined ? null : Number(wait) }
  })
}
