/** `ferrite driver ...`: the hardware types that the service offers, and what each wants to know. */
import { interfaceTypes } from '#protocol/interfaces.ts'
import { segment } from './client.ts'
import { type Commands, command, type Item } from './command.ts'
import { passthruCommands } from './passthru.ts'
import { fieldsOption, withoutLinks } from './resource.ts'

const longColumns = [
  'name',
  'type',
  'hosts',
  ...interfaceTypes.map(name => `default_${name}_interface`),
  ...interfaceTypes.map(name => `enabled_${name}_interfaces`),
]

const driver = { about: 'name of the driver' }
const passthru = passthruCommands({ name: 'driver', path: '/v1/drivers' })

/** Lists as comma separated text, as the baremetal client shows drivers in every format. */
function joined(item: Item): Item {
  const entries = Object.entries(item)
  return Object.fromEntries(entries.map(([key, value]) => [key, Array.isArray(value) ? value.join(', ') : value]))
}

/** An object as a list of its keys and values, sorted by key. */
function described(properties: Item) {
  const items = Object.entries(properties).map(([property, description]) => ({ property, description }))
  const sorted = items.toSorted((a, b) => (a.property < b.property ? -1 : 1))
  return { kind: 'list', columns: ['property', 'description'], items: sorted } as const
}

export const commands: Commands = {
  list: command({
    about: 'List drivers',
    args: {},
    options: {
      type: { takes: 'text', choices: ['classic', 'dynamic'], about: 'drivers of this kind; all are dynamic today' },
      long: { takes: 'nothing', group: 'columns', about: 'show interfaces too' },
      fields: { ...fieldsOption, group: 'columns' },
    },
    shows: 'list',
    async run({ options: { type, long, fields } }, { api }) {
      const query = { type, detail: long && 'True', fields: fields?.join(',') }
      const found = await api.list('/v1/drivers', 'drivers', { query, limit: undefined })
      const columns = fields ?? (long ? longColumns : ['name', 'hosts'])
      const items = found.map(joined).toSorted((a, b) => (String(a.name) < String(b.name) ? -1 : 1))
      return { kind: 'list', columns, items }
    },
  }),
  show: command({
    about: 'Show one driver',
    args: { driver },
    options: { fields: fieldsOption },
    shows: 'one',
    async run({ args, options }, { api }) {
      const found = await api.get(`/v1/drivers/${segment(args.driver)}`, { fields: options.fields?.join(',') })
      return { kind: 'one', item: joined(withoutLinks(found, ['properties'])) }
    },
  }),
  'property list': command({
    about: 'List the driver_info keys of a driver',
    args: { driver },
    options: {},
    shows: 'list',
    run: async ({ args }, { api }) => described(await api.get(`/v1/drivers/${segment(args.driver)}/properties`)),
  }),
  'raid property list': command({
    about: 'List what logical disks of a driver can be given',
    args: { driver },
    options: {},
    shows: 'list',
    run: async ({ args }, { api }) =>
      described(await api.get(`/v1/drivers/${segment(args.driver)}/raid/logical_disk_properties`)),
  }),
  'passthru list': passthru.list,
  'passthru call': passthru.call,
}
