/** `ferrite node power ...`, `node reboot` and `node inject nmi`: what reaches a running machine from outside. */
import type { PowerTarget } from '#protocol/states.ts'
import { type AnyCommand, type AnyInput, type Commands, command, type Options } from './command.ts'
import { nodePath, nodes, putCommand } from './node-path.ts'
import { forEach } from './report.ts'

export const reboot = power(
  'Reboot nodes',
  { soft: { takes: 'nothing', about: 'ask the operating system to reboot' } },
  ({ options }) => (options.soft ? 'soft rebooting' : 'rebooting'),
)

export const commands: Commands = {
  on: power('Power nodes on', {}, () => 'power on'),
  off: power(
    'Power nodes off',
    { soft: { takes: 'nothing', about: 'ask the operating system to shut down' } },
    ({ options }) => (options.soft ? 'soft power off' : 'power off'),
  ),
}

export const inject: Commands = {
  nmi: putCommand('Send nodes a non-maskable interrupt', 'interrupt node', 'management/inject_nmi', {}),
}

function power(about: string, options: Options, target: (input: AnyInput) => PowerTarget): AnyCommand {
  return command({
    about,
    args: { nodes },
    options: {
      'power-timeout': { takes: 'number', metavar: 'seconds', least: 1, about: 'how long the change may take' },
      ...options,
    },
    async run(input: AnyInput, { api }) {
      const timeout = input.options['power-timeout']
      const request = { target: target(input), ...(timeout !== undefined && { timeout }) }
      const names = [input.args.nodes ?? []].flat()
      await forEach(names, 'change the power of node', name => api.put(`${nodePath(name)}/states/power`, request))
      return undefined
    },
  })
}
