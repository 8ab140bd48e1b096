/** Boot of a machine that is not there: only the boot device changes, and a fake one at that. */
import type { BootInterface } from '../boot-interfaces.ts'
import { takeTime } from './machine.ts'

const boot: BootInterface = {
  validate: async () => {},

  async prepareRamdisk(ctx) {
    await takeTime(ctx, 'boot')
    await ctx.interfaces.management.setBootDevice(ctx, 'pxe', { persistent: false })
  },

  cleanUpRamdisk: ctx => takeTime(ctx, 'boot'),

  async prepareInstance(ctx) {
    await takeTime(ctx, 'boot')
    await ctx.interfaces.management.setBootDevice(ctx, 'disk', { persistent: true })
  },

  cleanUpInstance: ctx => takeTime(ctx, 'boot'),
}

export default boot
