/** `ferrite import ironic`: takes over what another service has, its machines untouched. What is done is in move/. */
import { type Commands, command } from './command.ts'
import { readFleet } from './move/fleet.ts'
import { report } from './move/moved.ts'
import { newestOf, otherService, otherServiceOptions } from './move/other-service.ts'
import { readSecrets } from './move/secrets.ts'
import { looseAllocations, moveShared } from './move/shared-objects.ts'
import { takeOverNodes } from './move/take-over.ts'
import { UsageError } from './parse.ts'

export const commands: Commands = {
  ironic: command({
    about: 'Take over the nodes of an Ironic, and all that belongs to them',
    args: {},
    options: {
      ...otherServiceOptions.from,
      secrets: {
        takes: 'text',
        metavar: 'file',
        about: 'what the other service masks: JSON or YAML, by node (name, UUID, or * for all)',
      },
      'without-secrets': { takes: 'nothing', about: 'take nodes without the secrets that nobody gave' },
      plan: { takes: 'nothing', about: 'only say what would be taken' },
    },
    shows: 'list',
    async run({ options }, context) {
      const { api: target, terminal, reporter } = context
      if (options.from === undefined && options['from-cloud'] === undefined) {
        throw new UsageError('Missing option --from or --from-cloud: the service to take from')
      }
      const plan = options.plan === true
      const secrets = await readSecrets(options.secrets, terminal)
      const other = await otherService('from', { url: options.from, cloud: options['from-cloud'] }, context)
      const fleet = await readFleet(other.api, other.newest)
      reporter.notice(`Found ${fleet.nodes.length} nodes with ${fleet.ports.length} ports in version ${other.newest}`)
      const targetNewest = await newestOf(target)
      const shared = await moveShared({ fleet, target, newest: targetNewest, plan })
      const nodes = await takeOverNodes({
        ...{ source: other.api, newest: other.newest, target, targetNewest, fleet, secrets, plan },
        withoutSecrets: options['without-secrets'] === true,
        told: (done, all) => {
          if (done % 100 === 0 && done < all) reporter.notice(`${done} of ${all} nodes`)
        },
      })
      return report([...shared, ...nodes, ...looseAllocations(fleet)])
    },
  }),
}
