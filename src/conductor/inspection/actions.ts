/**
 * What inspection rules do. Each action changes the draft, tells the log, or asks a URL; its arguments are filled in
 * already. Nothing is written here.
 *
 * Source: Ironic ironic/common/inspection_rules/actions.py (behaviour restated). Beyond it: a port is also known by its
 * MAC address, a trait that is there already is no failure, and a message of `fail` may have placeholders.
 */
import { isDeepStrictEqual } from 'node:util'
import { InvalidInput } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import type { ruleActions } from '#protocol/inspection-rule.ts'
import type { ApiCall } from './api-call.ts'
import type { Change, Draft } from './draft.ts'
import { pythonText } from './python-text.ts'

export type ActionName = keyof typeof ruleActions
type Args = Readonly<Record<string, unknown>>

/** What actions reach besides the draft. */
export interface ActionTools {
  readonly log: Log
  callApi(call: ApiCall): Promise<void>
}

/** The action `fail`: its message is the inspection's. */
export class InspectionRefused extends InvalidInput {
  override readonly name = 'InspectionRefused'
}

export interface Action {
  /** Arguments with placeholders; in a loop all have. */
  readonly filled: readonly string[]
  /** What it says is read by people who may not see the node's secrets. */
  readonly isShown?: true
  /** @throws InvalidInput where it cannot be done */
  run(draft: Draft, args: Args, tools: ActionTools): void | Promise<void>
}

const set = (value: unknown): Change => ({
  makes: true,
  apply(holder, key) {
    holder[key] = value
  },
})

const unset: Change = {
  makes: false,
  apply(holder, key) {
    delete holder[key]
  },
}

/** Appends; a list that is not there is made. */
const extend = ({ path, value, unique }: Args): Change => ({
  makes: true,
  apply(holder, key) {
    const list = Object.hasOwn(holder, key) ? (holder[key] ?? []) : []
    if (!Array.isArray(list)) throw new InvalidInput(`found no list at ${path}, and nothing can be appended`)
    if (unique === true && list.some(one => isDeepStrictEqual(one, value))) return
    holder[key] = [...list, value]
  },
})

const levels = { debug: 'debug', info: 'info', warning: 'warn', error: 'error', critical: 'error' } as const

export const actions: Readonly<Record<ActionName, Action>> = {
  fail: {
    filled: ['msg'],
    isShown: true,
    run: (_, { msg }) => {
      throw new InspectionRefused(pythonText(msg))
    },
  },
  log: {
    filled: ['msg'],
    isShown: true,
    run(draft, { msg, level = 'info' }, { log }) {
      const name = pythonText(level).toLowerCase()
      if (!isLevel(name)) {
        throw new InvalidInput(`found the level ${name}, expected one of ${Object.keys(levels).join(', ')}`)
      }
      log[levels[name]]({ node: draft.node.uuid }, pythonText(msg))
    },
  },
  'set-attribute': {
    filled: ['value'],
    run: (draft, { path, value }) => draft.changeNode(pythonText(path), set(value)),
  },
  'extend-attribute': {
    filled: ['value'],
    run: (draft, args) => draft.changeNode(pythonText(args.path), extend(args)),
  },
  'del-attribute': { filled: [], run: (draft, { path }) => draft.changeNode(pythonText(path), unset) },
  'set-capability': {
    filled: ['value'],
    run: (draft, { name, value }) => draft.setCapability(pythonText(name), pythonText(value)),
  },
  'unset-capability': { filled: [], run: (draft, { name }) => draft.setCapability(pythonText(name), undefined) },
  'add-trait': { filled: [], run: (draft, { name }) => draft.addTrait(pythonText(name)) },
  'remove-trait': { filled: [], run: (draft, { name }) => draft.removeTrait(pythonText(name)) },
  'set-plugin-data': {
    filled: ['value'],
    isShown: true,
    run: (draft, { path, value }) => draft.changePluginData(pythonText(path), set(value)),
  },
  'extend-plugin-data': {
    filled: ['value'],
    isShown: true,
    run: (draft, args) => draft.changePluginData(pythonText(args.path), extend(args)),
  },
  'unset-plugin-data': {
    filled: [],
    run: (draft, { path }) => draft.unsetPluginData(pythonText(path)),
  },
  'set-port-attribute': {
    filled: ['port_id', 'value'],
    run: (draft, { port_id, path, value }) => draft.changePort(pythonText(port_id), pythonText(path), set(value)),
  },
  'extend-port-attribute': {
    filled: ['port_id', 'value'],
    run: (draft, args) => draft.changePort(pythonText(args.port_id), pythonText(args.path), extend(args)),
  },
  'del-port-attribute': {
    filled: ['port_id'],
    run: (draft, { port_id, path }) => draft.changePort(pythonText(port_id), pythonText(path), unset),
  },
  'api-call': {
    filled: ['url'],
    run: (_, args, { callApi }) =>
      callApi({
        url: pythonText(args.url),
        headers: texts('headers', args.headers),
        proxies: texts('proxies', args.proxies),
        timeoutS: numeric('timeout', args.timeout ?? 5, { above: 0, most: 60 }),
        retries: numeric('retries', args.retries ?? 3, { above: -1, most: 10 }),
        backoffFactor: numeric('backoff_factor', args.backoff_factor ?? 0.3, { above: -1, most: 10 }),
      }),
  },
}

function isLevel(name: string): name is keyof typeof levels {
  return Object.hasOwn(levels, name)
}

function texts(name: string, value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value)) throw new InvalidInput(`found no object for ${name}`)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, pythonText(inner)]))
}

function numeric(name: string, value: unknown, { above, most }: { above: number; most: number }): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number === 'number' && number > above && number <= most) return number
  const least = above < 0 ? 'from 0' : 'above 0'
  throw new InvalidInput(`found ${JSON.stringify(value)} for ${name}, expected a number ${least} up to ${most}`)
}
