/** `ferrite event ...`: what happens, of all nodes that the caller may see, as it happened and as it happens. */
import { eventTypes } from '#protocol/event.ts'
import { type Commands, command, type Item } from './command.ts'
import { harmless } from './output.ts'

const columns = ['id', 'at', 'node_uuid', 'type', 'kind', 'data']
const retryMs = 1000
const filters = {
  node: { takes: 'text', about: 'of this node only' },
  type: { takes: 'repeat', choices: eventTypes, about: 'of this type only' },
  kind: { takes: 'repeat', about: 'of this kind only, such as "provision state"' },
} as const

export const commands: Commands = {
  list: command({
    about: 'List what has happened last, the oldest first',
    args: {},
    options: {
      ...filters,
      limit: { takes: 'number', least: 1, about: 'so many (50)' },
      before: { takes: 'number', least: 1, about: 'before the event of this number' },
    },
    shows: 'list',
    async run({ options }, { api }) {
      const { limit = 50, before } = options
      const { events } = await api.get('/v1/events', { ...asked(options), latest: limit, before })
      return { kind: 'list', columns, items: events as Item[] } // the answer of event.list
    },
  }),
  watch: command({
    about: 'Print what happens, a line of JSON for each event, until interrupted',
    args: {},
    options: { ...filters, after: { takes: 'number', least: 0, about: 'begin after the event of this number' } },
    async run({ options }, { api, terminal, reporter }) {
      const { interrupted } = terminal
      let after = options.after
      while (!interrupted.aborted) {
        try {
          for await (const text of api.follow('/v1/events', { ...asked(options), after }, interrupted)) {
            const event = JSON.parse(text) as Item // a line of the stream is an object
            if (typeof event.id === 'number') after = event.id
            terminal.out.write(`${harmless(JSON.stringify(event))}\n`)
          }
        } catch (error) {
          if (interrupted.aborted) break
          if (!isAway(error)) throw error
          reporter.notice('The service is away; going on when it is back.')
        }
        // The stream ended with its hour, or with the service: nothing is missed.
        if (!interrupted.aborted) await terminal.sleep(retryMs)
      }
      return undefined
    },
  }),
}

function asked({ node, type, kind }: { node?: string; type?: readonly string[]; kind?: readonly string[] }) {
  return { node, type: type?.join(','), kind: kind?.join(',') }
}

function isAway(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'api-unreachable'
}
