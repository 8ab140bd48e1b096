/** `ferrite node vmedia ...`: images that a BMC shows its machine as a drive. */
import { type Commands, command } from './command.ts'
import { node, nodePath } from './node-path.ts'

const devices = ['cdrom', 'disk', 'floppy'] as const

export const commands: Commands = {
  list: command({
    about: "List a node's virtual drives",
    args: { node },
    options: {},
    shows: 'list',
    async run({ args }, { api }) {
      const answer = await api.call('GET', `${nodePath(args.node)}/vmedia`)
      const items = Array.isArray(answer) ? answer : []
      return { kind: 'list', columns: ['media_types', 'inserted', 'image', 'image_name'], items }
    },
  }),
  attach: command({
    about: 'Insert an image into a virtual drive',
    args: {
      node,
      device: { choices: devices, about: devices.join(', ') },
      url: { about: 'where the BMC finds the image' },
    },
    options: {
      'download-source': { takes: 'text', metavar: 'source', about: 'http, local or swift: who serves the image' },
    },
    async run({ args, options }, { api }) {
      const source = options['download-source']
      await api.call(
        'POST',
        `${nodePath(args.node)}/vmedia`,
        {},
        {
          device_type: args.device,
          image_url: args.url,
          ...(source && { image_download_source: source }),
        },
      )
      return undefined
    },
  }),
  detach: command({
    about: "Take the images out of a node's virtual drives",
    args: { node },
    options: {
      device: { takes: 'repeat', choices: devices, about: 'out of this kind of drive only; may be repeated' },
    },
    async run({ args, options }, { api }) {
      await api.call('DELETE', `${nodePath(args.node)}/vmedia`, { device_types: options.device?.join(',') })
      return undefined
    },
  }),
}
