/**
 * What vendors' firmware wants differently, as data: which maker, model and firmware, and the behaviour. An entry is a
 * fact with where it was seen; code asks for the behaviour and never for the vendor.
 */
import { Type } from 'typebox'
import type { NodeContext } from '../driver.ts'
import { Asker } from './asker.ts'
import { reader } from './client.ts'
import { Text } from './maybe.ts'
import { type Located, managersOf } from './system.ts'

export interface Quirks {
  /** A boot override must name mode, enabled and target in one request, or it is refused. */
  wholeBootOverride: boolean
  /** An override that equals the present one must be sent all the same, else it is not armed again. */
  alwaysSendBootOverride: boolean
  /** The boot mode falls back when a boot device is set, and is set again afterwards. */
  bootModeAfterDevice: boolean
  /** Why the machine cannot be booted from virtual media by the standard's means; null where it can. */
  noMediaBoot: string | null
  /** Firmware updates name no targets, which the BMC refuses. */
  updateWithoutTargets: boolean
}

/** What an entry is about; what it leaves out fits any. */
interface Subject {
  vendor: RegExp
  model?: RegExp
  /** Versions of the BMC's firmware, compared part by part. */
  firmware?: { from?: string; below?: string }
}

interface Entry extends Subject {
  /** Short, for messages and tests. */
  name: string
  quirks: Partial<Quirks>
  /** Where the behaviour is documented. */
  evidence: string
}

/** What is known of a machine and its BMC. */
export interface Maker {
  vendor: string | null
  model: string | null
  /** Of the BMC; null: not read, or not told. */
  firmware: string | null
}

const none: Quirks = {
  wholeBootOverride: false,
  alwaysSendBootOverride: false,
  bootModeAfterDevice: false,
  noMediaBoot: null,
  updateWithoutTargets: false,
}

export const quirkEntries: readonly Entry[] = [
  {
    name: 'supermicro-boot',
    vendor: /^supermicro/i,
    quirks: { alwaysSendBootOverride: true, bootModeAfterDevice: true },
    evidence: 'ironic/drivers/modules/redfish/management.py: boot device is always set, boot mode restored after it',
  },
  {
    name: 'ami-whole-override',
    vendor: /^(ami|american megatrends|asrockrack|redfish_compatible)\b/i,
    quirks: { wholeBootOverride: true },
    evidence: 'sushy: boot mode, enabled and target in one PATCH for AMI-based firmware',
  },
  {
    name: 'idrac-old-media-boot',
    vendor: /^dell/i,
    firmware: { below: '6' },
    quirks: {
      noMediaBoot:
        'iDRAC firmware before 6 boots virtual media by a Dell-specific job alone, not by the boot target Cd',
    },
    evidence: 'ironic/drivers/modules/redfish/boot.py, _validate_vendor: Dell with iDRAC firmware 6 or later',
  },
]

/** Whose firmware version decides, so that it has to be read. */
const byFirmware = quirkEntries.filter(entry => entry.firmware)

export function quirksOf(maker: Maker): Quirks {
  return Object.assign({}, none, ...quirkEntries.filter(entry => fits(entry, maker)).map(entry => entry.quirks))
}

/** The quirks of a node's machine. The BMC's firmware version is asked for only where an entry depends on it. */
export async function quirksFor(ctx: Pick<NodeContext, 'signal'>, located: Located): Promise<Quirks> {
  const { Manufacturer, Model } = located.system
  const maker = { vendor: Manufacturer ?? null, model: Model ?? null, firmware: null }
  if (!byFirmware.some(entry => entry.vendor.test(maker.vendor ?? ''))) return quirksOf(maker)
  return quirksOf({ ...maker, firmware: await bmcFirmware(ctx, located) })
}

const manager = reader('manager', Type.Object({ FirmwareVersion: Text }))

async function bmcFirmware({ signal }: Pick<NodeContext, 'signal'>, located: Located): Promise<string | null> {
  const asker = new Asker(located.client, signal)
  for (const path of await managersOf(located, asker)) {
    const version = (await asker.get(path, manager))?.FirmwareVersion
    if (version) return version
  }
  return null
}

function fits({ vendor, model, firmware }: Subject, maker: Maker): boolean {
  if (!vendor.test(maker.vendor ?? '')) return false
  if (model && !model.test(maker.model ?? '')) return false
  if (!firmware) return true
  if (maker.firmware === null) return false
  const { from, below } = firmware
  return (!from || compare(maker.firmware, from) >= 0) && (!below || compare(maker.firmware, below) < 0)
}

/** Versions as people number them: `6.10.30.00` is above `6`, letters are passed over. */
function compare(a: string, b: string): number {
  const [left, right] = [a, b].map(text => text.match(/\d+/g)?.map(Number) ?? []) as [number[], number[]]
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
