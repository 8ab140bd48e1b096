/**
 * The deploy step that conductors use to write an image; the same as the command `standby.prepare_image`, with the node
 * at hand. It has no argsinfo: its arguments come from the conductor, not from users.
 */
import type { Step } from '../hardware/manager.ts'
import { checkImageInfo, readImageInfo } from './image-info.ts'
import { prepareImage } from './prepare-image.ts'

export const writeImageStep: Step = {
  step: 'write_image',
  interface: 'deploy',
  offered: { deploy: { priority: 0 }, service: { priority: 0, abortable: true } },
  run: async ({ image_info: given, configdrive }, context) => {
    const info = readImageInfo(given)
    checkImageInfo(info, context.agent.options)
    const { text, traffic } = await prepareImage(info, configdrive, context)
    // Beside the text that every conductor expects, figures for ours.
    return { result: `prepare_image: ${text}`, ...(traffic && { traffic }) }
  },
}
