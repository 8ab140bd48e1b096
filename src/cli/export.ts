/** `ferrite export ironic`: makes what this service has in an Ironic, as far as its API allows. The work is in move/. */
import { type Commands, command } from './command.ts'
import { readFleet } from './move/fleet.ts'
import { handOverNodes } from './move/hand-over.ts'
import { report } from './move/moved.ts'
import { newestOf, otherService, otherServiceOptions } from './move/other-service.ts'
import { readSecrets } from './move/secrets.ts'
import { looseAllocations, moveShared } from './move/shared-objects.ts'
import { UsageError } from './parse.ts'

export const commands: Commands = {
  ironic: command({
    about: 'Hand nodes and all that belongs to them over to an Ironic',
    args: {},
    options: {
      ...otherServiceOptions.to,
      secrets: {
        takes: 'text',
        metavar: 'file',
        about: 'what this service masks: JSON or YAML, by node (name, UUID, or * for all)',
      },
      'without-secrets': { takes: 'nothing', about: 'hand nodes over without the secrets that nobody gave' },
      plan: { takes: 'nothing', about: 'only say what would be made' },
    },
    shows: 'list',
    async run({ options }, context) {
      const { api, terminal, reporter } = context
      if (options.to === undefined && options['to-cloud'] === undefined) {
        throw new UsageError('Missing option --to or --to-cloud: the service to hand over to')
      }
      const plan = options.plan === true
      const secrets = await readSecrets(options.secrets, terminal)
      const target = await otherService('to', { url: options.to, cloud: options['to-cloud'] }, context)
      const fleet = await readFleet(api, await newestOf(api))
      const shared = await moveShared({ fleet, target: target.api, newest: target.newest, plan })
      const nodes = await handOverNodes({
        ...{ fleet, target, secrets, plan, terminal },
        withoutSecrets: options['without-secrets'] === true,
        told: (done, all) => {
          if (done % 100 === 0 && done < all) reporter.notice(`${done} of ${all} nodes`)
        },
      })
      return report([...shared, ...nodes, ...looseAllocations(fleet)])
    },
  }),
}
