/** Boot mode or secure boot, as an operator asked for it. It moves no provision state; what the BMC refuses is told. */
import { Unsupported } from '#drivers/driver.ts'
import type { BootMode } from '#protocol/states.ts'
import type { FlowDefinition } from '../flow-definition.ts'

export const bootSettings: FlowDefinition = {
  kind: 'boot settings',
  stateless: true,
  about: ({ boot_mode: mode, secure_boot: secure }) =>
    mode === undefined ? `secure boot ${secure === true ? 'on' : 'off'}` : `boot mode ${mode}`,
  async run(ctx, args) {
    await ctx.flow.once('set', async () => {
      const now = await ctx.fresh()
      const { management } = now.interfaces
      if (args.boot_mode !== undefined) {
        const mode = args.boot_mode as BootMode // checked by the API
        await management.setBootMode(now, mode)
        await ctx.flow.write({ boot_mode: mode })
      }
      if (args.secure_boot !== undefined) {
        if (!management.setSecureBoot) throw new Unsupported('The management interface cannot set secure boot any more')
        await management.setSecureBoot(now, args.secure_boot === true)
        await ctx.flow.write({ secure_boot: args.secure_boot === true })
      }
    })
    return null
  },
}
