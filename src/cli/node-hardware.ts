/** `ferrite node bios ...`, `node firmware ...` and `node inventory ...`: what the service has read off a machine. */
import { writeFile } from 'node:fs/promises'
import { InvalidInput, messageOf, NotFound } from '#lib/fault.ts'
import { segment } from './client.ts'
import { type Commands, command, type Item } from './command.ts'
import { node, nodePath } from './node-path.ts'
import { fieldsOption, withoutLinks } from './resource.ts'

const biosColumns = [
  'name',
  'value',
  'attribute_type',
  'allowable_values',
  'lower_bound',
  'min_length',
  'max_length',
  'read_only',
  'reset_required',
  'unique',
  'upper_bound',
]

export const bios: Commands = {
  'setting list': command({
    about: "List a node's BIOS settings",
    args: { node },
    options: {
      long: { takes: 'nothing', group: 'columns', about: 'show what each setting may be, too' },
      fields: { ...fieldsOption, group: 'columns' },
    },
    shows: 'list',
    async run({ args, options: { long, fields } }, { api }) {
      const query = { detail: long && 'True', fields: fields?.join(',') }
      const items = await api.list(`${nodePath(args.node)}/bios`, 'bios', { query, limit: undefined })
      return { kind: 'list', columns: fields ?? (long ? biosColumns : ['name', 'value']), items }
    },
  }),
  'setting show': command({
    about: 'Show one BIOS setting of a node',
    args: { node, setting: { about: 'name of the setting' } },
    options: {},
    shows: 'one',
    async run({ args }, { api }) {
      const found = (await api.get(`${nodePath(args.node)}/bios/${segment(args.setting)}`))[args.setting]
      if (!isItem(found))
        throw new NotFound(`Cannot show BIOS setting ${args.setting}: the answer has none of this name`)
      return { kind: 'one', item: withoutLinks(found) }
    },
  }),
}

export const firmware: Commands = {
  list: command({
    about: "List a node's firmware components and their versions",
    args: { node },
    options: {},
    shows: 'list',
    async run({ args }, { api }) {
      const path = `${nodePath(args.node)}/firmware`
      const items = await api.list(path, 'firmware', { query: {}, limit: undefined })
      const versions = ['initial_version', 'current_version', 'last_version_flashed']
      return { kind: 'list', columns: ['component', ...versions, 'created_at', 'updated_at'], items }
    },
  }),
}

export const inventory: Commands = {
  save: command({
    about: 'Write what the inspection of a node found, as JSON',
    args: { node },
    options: { file: { takes: 'text', metavar: 'path', about: 'where to; default standard output' } },
    async run({ args, options: { file } }, { api, terminal }) {
      const text = `${JSON.stringify(await api.get(`${nodePath(args.node)}/inventory`), null, 2)}\n`
      if (file === undefined) terminal.out.write(text)
      else {
        await writeFile(file, text).catch((error: unknown) => {
          throw new InvalidInput(`Cannot write the inventory to ${file}: ${messageOf(error)}`)
        })
      }
      return undefined
    },
  }),
}

function isItem(value: unknown): value is Item {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
