/**
 * Boot device, boot mode, health, NMI, maker and MAC addresses over Redfish. Everything but the addresses comes from
 * the one GET of the system.
 *
 * Source: DMTF DSP0268, ComputerSystem (Boot), EthernetInterface; ironic/drivers/modules/redfish/management.py (behaviour).
 */
import { Type } from 'typebox'
import { type BootDevice, type BootMode, bootDevices } from '#protocol/states.ts'
import type { Health, ManagementInterface } from '../bmc-interfaces.ts'
import { type NodeContext, Unsupported } from '../driver.ts'
import { patchBoot } from './boot-override.ts'
import { reader } from './client.ts'
import { validateDriverInfo } from './driver-info.ts'
import { BmcRefused } from './faults.ts'
import { firmwareState } from './firmware-state.ts'
import { readIndicators, setIndicator } from './indicators.ts'
import { managementSteps } from './management-steps.ts'
import { virtualMedia } from './media-by-hand.ts'
import { quirksFor } from './quirks.ts'
import { restartUntil } from './restart-until.ts'
import { setSecureBoot } from './secure-boot.ts'
import { readSensors } from './sensors.ts'
import { type Boot, readSystem, resetAction } from './system.ts'

const TARGETS: Readonly<Partial<Record<BootDevice, string>>> = {
  pxe: 'Pxe',
  disk: 'Hdd',
  cdrom: 'Cd',
  bios: 'BiosSetup',
  floppy: 'Floppy',
  uefihttp: 'UefiHttp',
}

const MODES: Readonly<Record<BootMode, string>> = { uefi: 'UEFI', bios: 'Legacy' }

/** No machine has more NICs than that; a broken collection must not keep us busy. */
const NIC_LIMIT = 128

const ethernetInterface = reader(
  'Ethernet interface',
  Type.Object({
    MACAddress: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    PermanentMACAddress: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    LinkStatus: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    Status: Type.Optional(
      Type.Union([Type.Object({ State: Type.Optional(Type.Union([Type.String(), Type.Null()])) }), Type.Null()]),
    ),
  }),
)

const management: ManagementInterface = {
  steps: managementSteps,
  validate: validateDriverInfo,

  async supportedBootDevices(ctx) {
    const { system } = await readSystem(ctx)
    return bootDevices.filter(device => allows(system.Boot, device))
  },

  async getBootDevice(ctx) {
    const { system } = await readSystem(ctx)
    const { BootSourceOverrideTarget: target, BootSourceOverrideEnabled: enabled } = system.Boot ?? {}
    const boot_device = bootDevices.find(device => TARGETS[device] !== undefined && TARGETS[device] === target) ?? null
    if (boot_device === null || enabled === 'Disabled') return { boot_device: null, persistent: null }
    return { boot_device, persistent: enabled === 'Continuous' ? true : enabled === 'Once' ? false : null }
  },

  async setBootDevice(ctx, device, { persistent }) {
    const located = await readSystem(ctx, { fresh: true })
    const { Boot } = located.system
    const target = TARGETS[device]
    if (target === undefined || !allows(Boot, device)) {
      const offered = bootDevices.filter(each => allows(Boot, each)).join(', ') || 'none'
      throw new Unsupported(
        `Cannot set boot device ${device} of ${located.path} at ${located.client.origin}: expected one of ${offered}`,
      )
    }
    const quirks = await quirksFor(ctx, located)
    const isSet = Boot?.BootSourceOverrideTarget === target
    const enabled = persistent ? 'Continuous' : 'Once'
    if (isSet && Boot.BootSourceOverrideEnabled === enabled && !quirks.alwaysSendBootOverride) return
    const mode = Boot?.BootSourceOverrideMode
    const override = {
      BootSourceOverrideTarget: target,
      ...(quirks.wholeBootOverride && mode ? { BootSourceOverrideMode: mode } : {}),
    }
    try {
      await patchBoot(ctx, located, { ...override, BootSourceOverrideEnabled: enabled })
    } catch (error) {
      if (!persistent || !(error instanceof BmcRefused) || !REJECTIONS.includes(error.httpStatus)) throw error
      // Firmware without lasting overrides: one boot is better than none. If that fails too, the first answer tells more.
      await patchBoot(ctx, located, { ...override, BootSourceOverrideEnabled: 'Once' }).catch(() => {
        throw error
      })
      ctx.log.warn(
        { device, said: error.said },
        'the BMC cannot keep a boot device; it was set for the next boot alone',
      )
    }
    if (quirks.bootModeAfterDevice && mode) {
      const after = await readSystem(ctx, { fresh: true })
      if (after.system.Boot?.BootSourceOverrideMode !== mode) {
        await patchBoot(ctx, after, { BootSourceOverrideMode: mode })
      }
    }
  },

  async getBootMode(ctx) {
    const { system } = await readSystem(ctx)
    const mode = system.Boot?.BootSourceOverrideMode
    return mode === 'UEFI' ? 'uefi' : mode === 'Legacy' ? 'bios' : null
  },

  async setBootMode(ctx, mode) {
    const located = await readSystem(ctx, { fresh: true })
    const { Boot } = located.system
    if (Boot?.BootSourceOverrideMode === MODES[mode]) return
    const { BootSourceOverrideTarget, BootSourceOverrideEnabled } = Boot ?? {}
    const whole = (await quirksFor(ctx, located)).wholeBootOverride
      ? { BootSourceOverrideTarget, BootSourceOverrideEnabled }
      : {}
    await patchBoot(ctx, located, { ...whole, BootSourceOverrideMode: MODES[mode] })
    // Some firmware changes its mode when the machine starts, and says so only then.
    await restartUntil(ctx, `boot mode ${mode}`, async () => {
      const { system } = await readSystem(ctx, { fresh: true })
      return system.Boot?.BootSourceOverrideMode === MODES[mode]
    })
  },

  setSecureBoot,
  firmwareState,

  async injectNmi(ctx) {
    const located = await readSystem(ctx)
    const { target, allowed } = await resetAction(located, ctx.signal)
    if (allowed !== null && !allowed.includes('Nmi')) {
      throw new Unsupported(
        `Cannot inject an NMI into ${located.path} at ${located.client.origin}: the BMC offers ${allowed.join(', ')}`,
      )
    }
    try {
      await located.client.post(target, { ResetType: 'Nmi' }, ctx.signal)
    } catch (error) {
      // Some list what they do not have.
      if (!(error instanceof BmcRefused) || error.httpStatus !== 501) throw error
      throw new Unsupported(`Cannot inject an NMI: ${error.message}`)
    }
  },

  async getHealth(ctx) {
    const { system } = await readSystem(ctx)
    const health = system.Status?.Health
    return HEALTHS.find(known => known === health) ?? null
  },

  getIndicators: readIndicators,
  setIndicator,
  virtualMedia,
  getSensors: readSensors,

  async getVendor(ctx) {
    const { client, system } = await readSystem(ctx)
    return (await client.root(ctx.signal)).Vendor ?? system.Manufacturer ?? null
  },

  macAddresses: async ctx => [...(await nics(ctx)).keys()],

  async macsWithoutLink(ctx) {
    const all = await nics(ctx)
    return [...all].filter(([, link]) => link === 'LinkDown' || link === 'NoLink').map(([mac]) => mac)
  },
}

export default management

/** Usable cards: what is told of their links, by address. */
async function nics(ctx: NodeContext): Promise<ReadonlyMap<string, string | null>> {
  const { client, system } = await readSystem(ctx)
  const found = new Map<string, string | null>()
  if (!system.EthernetInterfaces) return found
  const paths = await client.members(system.EthernetInterfaces['@odata.id'], ctx.signal)
  for (const path of paths.slice(0, NIC_LIMIT)) {
    const { resource } = await client.get(path, ethernetInterface, { signal: ctx.signal })
    const state = resource.Status?.State
    const address = (resource.MACAddress ?? resource.PermanentMACAddress ?? '').toLowerCase().replaceAll('-', ':')
    const isUsable = state === undefined || state === null || state === 'Enabled'
    if (isUsable && MAC.test(address) && address !== '00:00:00:00:00:00')
      found.set(address, resource.LinkStatus ?? null)
  }
  return found
}

const HEALTHS: readonly Health[] = ['OK', 'Warning', 'Critical']
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/
/** How firmware says that it does not take a value. */
const REJECTIONS = [400, 405, 409, 422, 500, 501]

function allows(boot: Boot | null | undefined, device: BootDevice): boolean {
  const target = TARGETS[device]
  const values = boot?.['BootSourceOverrideTarget@Redfish.AllowableValues']
  return target !== undefined && (!values || values.length === 0 || values.includes(target))
}
