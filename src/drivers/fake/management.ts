/** The BMC of a machine that is not there. */
import { bootDevices } from '#protocol/states.ts'
import type { ManagementInterface } from '../bmc-interfaces.ts'
import { machineOf, takeTime } from './machine.ts'

const management: ManagementInterface = {
  validate: async () => {},

  supportedBootDevices: async () => bootDevices,

  async getBootDevice(ctx) {
    return machineOf(ctx).bootDevice ?? { boot_device: null, persistent: null }
  },

  async setBootDevice(ctx, device, { persistent }) {
    await takeTime(ctx, 'management')
    machineOf(ctx).bootDevice = { boot_device: device, persistent }
  },

  async getBootMode(ctx) {
    return machineOf(ctx).bootMode ?? null
  },

  async setBootMode(ctx, mode) {
    await takeTime(ctx, 'management')
    machineOf(ctx).bootMode = mode
  },

  setSecureBoot: ctx => takeTime(ctx, 'management'),

  injectNmi: ctx => takeTime(ctx, 'management'),
  getHealth: async () => 'OK',
  getVendor: async () => 'Ferrite',

  async getSensors({ node }) {
    const isOn = node.power_state === 'power on'
    return {
      Temperature: { inlet: { reading: 22, unit: 'celsius', health: 'OK', about: 'Intake' } },
      Fan: { fan: { reading: isOn ? 4200 : 0, unit: 'rpm', health: 'OK' } },
      System: { system: { health: 'OK' } },
    }
  },

  async macAddresses(ctx) {
    return ctx.ports.map(port => port.address)
  },
}

export default management
