/** Vendor methods of a node or a driver: `passthru list` and `passthru call`. */
import { segment } from './client.ts'
import { command, type Item } from './command.ts'
import type { Method } from './http.ts'
import { UsageError } from './parse.ts'
import { pairs } from './values.ts'

const methods = ['POST', 'PUT', 'GET', 'DELETE', 'PATCH'] as const

export function passthruCommands({ name, path }: { name: string; path: string }) {
  const owner = { metavar: name, about: name === 'node' ? 'name or UUID of the node' : `name of the ${name}` }
  const pathOf = (ident: string) => `${path}/${segment(ident)}/vendor_passthru`
  return {
    list: command({
      about: `List the vendor methods of a ${name}`,
      args: { owner },
      options: {},
      shows: 'list',
      async run({ args }, { api }) {
        const found = Object.entries(await api.get(`${pathOf(args.owner)}/methods`))
        const items = found.map(([method, told]) => ({ ...listed(told), name: method }))
        return { kind: 'list', columns: ['name', 'http_methods', 'async', 'description', 'attach'], items }
      },
    }),
    call: command({
      about: `Call a vendor method of a ${name}`,
      args: { owner, method: { about: 'name of the method' } },
      options: {
        arg: { takes: 'repeat', metavar: 'key=value', about: 'argument of the method; may be repeated' },
        'http-method': { takes: 'text', metavar: 'method', choices: methods, about: 'default POST' },
      },
      shows: 'one',
      async run({ args, options }, { api }) {
        const called = `${pathOf(args.owner)}/${segment(args.method)}`
        const verb = (options['http-method'] ?? 'POST') as Method // one of the choices
        const hasBody = verb !== 'GET' && verb !== 'DELETE'
        if (options.arg && !hasBody) throw new UsageError(`Option --arg does not go with ${verb}, which has no body`)
        const answer = await api.call(verb, called, {}, hasBody ? pairs(options.arg ?? []) : undefined)
        if (answer === undefined) return undefined
        return { kind: 'one', item: isItem(answer) ? answer : { result: answer } }
      },
    }),
  }
}

function isItem(value: unknown): value is Item {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function listed(told: unknown): Item {
  if (!isItem(told)) return {}
  const { http_methods: methods, ...rest } = told
  return { ...rest, http_methods: Array.isArray(methods) ? methods.join(', ') : methods }
}
