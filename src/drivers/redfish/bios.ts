/**
 * BIOS settings over Redfish: read with what the BMC's registry knows of them, changed and put back to the factory's by
 * steps. A change waits in the BMC for the machine's next start, which the step causes, and then looks whether it came true.
 *
 * Source: cleaning facts, "BIOS" (ironic/drivers/modules/redfish/bios.py restated). Beyond it: all that is wrong is told
 * before anything is changed.
 */
import { saveBiosSettings } from '#db/hardware-settings.ts'
import { timestamp } from '#protocol/field.ts'
import { type BiosInterface, type FlowContext, HardwareFault } from '../driver.ts'
import { bmcPatienceMs, mayPass, patiently } from '../patience.ts'
import type { Step } from '../step.ts'
import { type BiosValue, biosSettings, differing, readBios, readPending, wantedValues } from './bios-registry.ts'
import { validateDriverInfo } from './driver-info.ts'
import { settleDown, startAnew } from './restart.ts'
import { readSystem } from './system.ts'

/** The machine started anew and its settings are not those that were asked for. */
export class BiosNotApplied extends HardwareFault {
  override readonly code = 'bios-not-applied'
}

const common = {
  interface: 'bios',
  priority: 0,
  kinds: ['clean', 'deploy', 'service'],
  requires_ramdisk: false,
} as const

const applyConfiguration: Step = {
  ...common,
  step: 'apply_configuration',
  abortable: false,
  argsinfo: { settings: { description: 'List of settings to change: [{"name": …, "value": …}, …].', required: true } },
  async run(ctx, { settings }) {
    const { flow } = ctx
    const name = ctx.stepId ?? 'bios.apply_configuration'
    const wanted = await flow.once(`${name}: check`, async () => {
      const now = await ctx.fresh()
      const bios = await patiently(now, bmcPatienceMs, () => readBios(now))
      const values = wantedValues(settings, await biosSettings(now, bios))
      return differing(values, bios.values).length === 0 ? null : values
    })
    if (wanted === null) return
    await flow.once(`${name}: ask`, async () => {
      const now = await ctx.fresh()
      await patiently(now, bmcPatienceMs, () => ask(now, wanted))
    })
    await startAnew(ctx, name)
    await applied(ctx, name, wanted)
    await settleDown(ctx, name)
    await cache(ctx, name)
  },
}

const factoryReset: Step = {
  ...common,
  step: 'factory_reset',
  abortable: false,
  argsinfo: null,
  async run(ctx) {
    const name = ctx.stepId ?? 'bios.factory_reset'
    await ctx.flow.once(`${name}: ask`, async () => {
      const now = await ctx.fresh()
      await patiently(now, bmcPatienceMs, async () => {
        const { client, resetTarget } = await readBios(now)
        await client.post(resetTarget, {}, now.signal)
      })
    })
    await startAnew(ctx, name)
    // Which values are the factory's only the firmware knows; it has taken them when it has started.
    await applied(ctx, name, {})
    await settleDown(ctx, name)
    await cache(ctx, name)
  },
}

export default {
  validate: validateDriverInfo,
  steps: [applyConfiguration, factoryReset],
  async readSettings(ctx) {
    return biosSettings(ctx, await readBios(ctx))
  },
} satisfies BiosInterface

type Values = Readonly<Record<string, BiosValue>>

/** Writes what is to count from the next start on; what waits there already is not sent again. */
async function ask(now: FlowContext, wanted: Values): Promise<void> {
  const bios = await readBios(now)
  if (differing(wanted, await readPending(now, bios)).length === 0) return
  const body = {
    Attributes: wanted,
    ...(bios.appliesOnReset ? { '@Redfish.SettingsApplyTime': { ApplyTime: 'OnReset' } } : {}),
  }
  const etag = bios.settingsPath === bios.path ? bios.etag : null
  await bios.client.patch(bios.settingsPath, body, { signal: now.signal, etag })
}

/** Words of BootProgress that say the firmware is through. Source: DMTF DSP2046, ComputerSystem.BootProgressTypes */
const started = ['OSBootStarted', 'OSRunning']
const everyMs = 5000

/** Waits until the settings are in force. A firmware that is through and left them out ends the wait at once. */
async function applied(ctx: FlowContext, name: string, wanted: Values): Promise<void> {
  const { flow, config } = ctx
  const timeoutMs = config.redfish.boot_mode_config_timeout * 1000
  let seen = ''
  const failed = (when: string) =>
    new BiosNotApplied(`BIOS settings of node ${flow.nodeUuid} were not applied ${when}: ${seen}`)
  const onTimeout = () => failed(`within ${timeoutMs / 1000} s`)
  await flow.until(`${name}: applied`, { everyMs, timeoutMs, onTimeout }, async () => {
    const now = await ctx.fresh()
    try {
      const bios = await readBios(now)
      const left = differing(wanted, bios.values)
      const pending = Object.keys(await readPending(now, bios))
      const waiting = Object.keys(wanted).length === 0 ? pending : left
      if (waiting.length === 0) return true
      seen = left
        .map(one => `${one} is ${JSON.stringify(bios.values[one])}, expected ${JSON.stringify(wanted[one])}`)
        .join('; ')
      const { system } = await readSystem(now, { fresh: true })
      const isThrough = started.includes(system.BootProgress?.LastState ?? '')
      if (isThrough && pending.length === 0 && left.length > 0) throw failed('by a start of the machine')
      return undefined
    } catch (error) {
      if (!mayPass(error)) throw error
      seen = `its BMC could not be asked: ${error instanceof Error ? error.message : error}`
      return undefined
    }
  })
}

async function cache(ctx: FlowContext, name: string): Promise<void> {
  await ctx.flow.once(`${name}: keep what is set`, async () => {
    const now = await ctx.fresh()
    const settings = await biosSettings(now, await readBios(now))
    await saveBiosSettings(now.db, ctx.flow.nodeUuid, settings, timestamp(now.clock.now()))
  })
}
