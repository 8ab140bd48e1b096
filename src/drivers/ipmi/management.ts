/**
 * Boot device, NMI, health, maker and sensors over IPMI. Boot mode and secure boot cannot be set: the flags of a boot
 * device only say for which firmware they are meant.
 *
 * Source: drivers, "IPMI" (ironic/drivers/modules/ipmitool.py restated); IPMI v2.0 rev 1.1, table 28-14.
 */
import { deployBootMode } from '#boot/boot-mode.ts'
import { completion } from '#protocol/ipmi/commands.ts'
import type { BootDevice, BootMode } from '#protocol/states.ts'
import type { ManagementInterface } from '../bmc-interfaces.ts'
import { type NodeContext, Unsupported } from '../driver.ts'
import { controlChassis, keepBootFlags, readBootFlags, recentChassisStatus, writeBootFlags } from './chassis.ts'
import { clientOf } from './clients.ts'
import { makerOf } from './device.ts'
import { disablesBootTimeout, validateDriverInfo } from './driver-info.ts'
import { IpmiRefused } from './faults.ts'
import { readSensors } from './sensors.ts'

/** Selectors of the boot flags. */
const selectors: Readonly<Partial<Record<BootDevice, number>>> = { pxe: 1, disk: 2, safe: 3, cdrom: 5, bios: 6 }
const supported = Object.keys(selectors) as BootDevice[] // its own keys

/** What was last asked to hold for all boots, by node: sent again before each start where ipmi_force_boot_device says so. */
const lastDevices = Symbol('ipmi boot devices')

const management: ManagementInterface = {
  validate: validateDriverInfo,

  supportedBootDevices: async () => supported,

  async getBootDevice(ctx) {
    const { isValid, isPersistent, selector } = await readBootFlags(clientOf(ctx), ctx.signal)
    const boot_device = supported.find(device => selectors[device] === selector) ?? null
    if (!isValid || boot_device === null) return { boot_device: null, persistent: null }
    return { boot_device, persistent: isPersistent }
  },

  async setBootDevice(ctx, device, { persistent }) {
    if (selectors[device] === undefined) {
      throw new Unsupported(
        `Cannot set boot device ${device} of node ${ctx.node.uuid}: IPMI has ${supported.join(', ')}`,
      )
    }
    if (persistent) rememberedDevices(ctx).set(ctx.node.uuid, device)
    else rememberedDevices(ctx).delete(ctx.node.uuid)
    await sendBootDevice(ctx, device, persistent)
  },

  async getBootMode() {
    return null
  },

  async setBootMode({ node }, mode) {
    throw new Unsupported(`Cannot set the boot mode of node ${node.uuid} to ${mode}: IPMI has no command for that`)
  },

  async injectNmi(ctx) {
    await controlChassis(clientOf(ctx), 'diagnosticInterrupt', ctx.signal)
  },

  async getHealth(ctx) {
    const { faults } = await recentChassisStatus(clientOf(ctx), ctx.signal)
    return faults.length > 0 ? 'Critical' : 'OK'
  },

  getSensors: readSensors,

  async getVendor(ctx) {
    return makerOf(clientOf(ctx), ctx.signal)
  },

  macAddresses: async () => [],
}

export default management

/** For BMCs that forget a boot device that was to hold for all boots. */
export async function restoreBootDevice(ctx: NodeContext): Promise<void> {
  const device = rememberedDevices(ctx).get(ctx.node.uuid)
  if (device !== undefined) await sendBootDevice(ctx, device, false)
}

async function sendBootDevice(ctx: NodeContext, device: BootDevice, persistent: boolean): Promise<void> {
  const client = clientOf(ctx)
  if (disablesBootTimeout(ctx)) {
    await keepBootFlags(client, ctx.signal).catch(error => {
      // Firmware that lacks the parameter never forgets.
      if (!(error instanceof IpmiRefused) || error.mayPass) throw error
      ctx.log.debug({ error: error.message }, 'the BMC knows no limit of time for boot flags')
    })
  }
  const mode = await deployBootMode(ctx)
  const selector = await selectorOf(ctx, device, mode)
  try {
    await writeBootFlags(client, { persistent, mode, selector }, ctx.signal)
  } catch (error) {
    const rejects = error instanceof IpmiRefused && rejections.includes(error.completion)
    if (!persistent || !rejects) throw error
    // Firmware without lasting flags: one boot is better than none. If that fails too, the first answer tells more.
    await writeBootFlags(client, { persistent: false, mode, selector }, ctx.signal).catch(() => {
      throw error
    })
    ctx.log.warn({ device }, 'the BMC cannot keep a boot device; it was set for the next boot alone')
  }
}

const rejections: readonly number[] = [completion.invalidData, 0x80, 0x81, 0x82, 0xc9]

/** Supermicro's firmware starts a disk with UEFI from the selector of a remote disk. */
async function selectorOf(ctx: NodeContext, device: BootDevice, mode: BootMode): Promise<number> {
  const usual = selectors[device] ?? 0
  if (device !== 'disk' || mode !== 'uefi') return usual
  const known = ctx.node.properties.vendor
  const vendor = typeof known === 'string' ? known : await management.getVendor(ctx)
  return vendor?.toLowerCase() === 'supermicro' ? remoteDisk : usual
}

/** 0x24 in the byte of the flags. */
const remoteDisk = 9

function rememberedDevices(ctx: NodeContext): Map<string, BootDevice> {
  return ctx.shared(lastDevices, () => new Map<string, BootDevice>())
}
