/**
 * How a node is shown: the declared fields, with what is computed on the way out. `driver_internal_info` joins what the
 * drivers stored, what the agent told of itself, and how far the running step is.
 */
import { findNodeRow } from '#db/node-rows.ts'
import type { RawRow } from '#db/page.ts'
import { NotFound } from '#lib/fault.ts'
import { nodeFields } from '#protocol/node.ts'
import type { Call, World } from '../endpoint.ts'
import { escaped, selfAndBookmark } from '../links.ts'
import { type Masker, masked, maskerOf } from '../mask.ts'
import type { Target } from '../policy/policy.ts'
import { answerSchema } from '../schemas.ts'
import { type Computed, guarded, type Selection, type ViewContext, viewOf } from '../view.ts'

/** A node in answers. */
export const NodeAnswer = answerSchema(nodeFields)

const below = (part: string): Computed => ({
  columns: ['uuid'],
  print: ({ uuid }, { base }) => selfAndBookmark(base, `/nodes/${uuid}${part}`),
})

const plain = (name: string): Computed => ({ columns: [name], print: row => JSON.stringify(row[name]) })

/** Source: REST API reference, "Masking"; the texts are Ironic's. */
export const lastError = guarded(
  'baremetal:node:get:last_error',
  '** Value Redacted - Requires baremetal:node:get:last_error permission. **',
  plain('last_error'),
)
const redactedObject = (text: string) => ({ content: text })

export const nodeView = viewOf({
  fields: nodeFields,
  key: 'uuid',
  always: ['owner', 'lessee'],
  short: ['uuid', 'name', 'instance_uuid', 'maintenance', 'power_state', 'provision_state', 'links'],
  computed: {
    links: below(''),
    ports: below('/ports'),
    states: below('/states'),
    portgroups: below('/portgroups'),
    volume: below('/volume'),
    last_error: lastError,
    reservation: guarded(
      'baremetal:node:get:reservation',
      '** Redacted - requires baremetal:node:get:reservation permission. **',
      plain('reservation'),
    ),
    driver_info: guarded(
      'baremetal:node:get:driver_info',
      redactedObject('** Redacted - requires baremetal:node:get:driver_info permission. **'),
      {
        columns: ['driver_info'],
        print: ({ driver_info }, { masker, unmasked }) =>
          unmasked?.has('driver_info') ? String(driver_info) : masker.text(String(driver_info)),
      },
    ),
    driver_internal_info: guarded(
      'baremetal:node:get:driver_internal_info',
      redactedObject('** Redacted - Requires baremetal:node:get:driver_internal_info permission. **'),
      { columns: ['uuid', 'driver_internal_info'], joined: true, print: internalInfo },
    ),
    conductor: {
      columns: ['uuid', 'driver', 'conductor_group'],
      needsFleet: true,
      print: (row, { conductorOf }) => JSON.stringify(conductorOf?.(row) ?? null),
    },
    allocation_uuid: {
      columns: ['uuid', 'allocation_uuid'],
      print: ({ allocation_uuid }) => JSON.stringify(allocation_uuid),
    },
  },
})

/** What printing nodes needs beside their rows. */
export async function nodeContext(
  call: Pick<Call, 'links' | 'may'> & World,
  selection: Selection,
): Promise<ViewContext> {
  const fleet = selection.needsFleet ? await call.fleet.read() : undefined
  return {
    base: escaped(call.links.base),
    masker: maskerFor(call.conductor.secretKeys()),
    ...revealed(call),
    ...(fleet && {
      conductorOf: ({ uuid, driver, conductor_group }: RawRow) =>
        fleet.conductorOf({ uuid: String(uuid), driver: String(driver), conductor_group: String(conductor_group) }),
    }),
  }
}

/** The full node, as it is now, at the request's version. */
export async function nodeJson(call: Call, nodeUuid: string, selection = nodeView.full(call.version)): Promise<string> {
  const context = await nodeContext(call, selection)
  const row = await findNodeRow(call.db, selection, nodeUuid)
  if (!row) throw new NotFound(`Node ${nodeUuid} could not be found.`)
  return selection.print(row, context)
}

/** What of nodes is shown to this caller. */
export function revealed(call: Pick<Call, 'may'>): Pick<ViewContext, 'unmasked' | 'hides'> {
  const unmasked = [
    ...(call.may('show_password', null) ? ['driver_info', 'driver_internal_info'] : []),
    ...(call.may('show_instance_secrets', null) ? ['instance_info'] : []),
  ]
  return {
    ...(unmasked.length > 0 ? { unmasked: new Set(unmasked) } : {}),
    ...(call.may('baremetal:node:get:filter_threshold', null)
      ? {}
      : { hides: (policy, row) => !call.may(policy, ownership(row)) }),
  }
}

/** Whose the node of a row is. */
export function ownership({ owner, lessee }: RawRow): Target {
  return { owner: owner == null ? null : String(owner), lessee: lessee == null ? null : String(lessee) }
}

const maskers = new WeakMap<ReadonlySet<string>, Masker>()
let lastKeys: { text: string; masker: Masker } | undefined

/** The masker of a set of keys, made once although the set may come new with every call. */
export function maskerFor(keys: ReadonlySet<string>): Masker {
  const known = maskers.get(keys)
  if (known) return known
  const text = [...keys].join('\n')
  if (lastKeys?.text !== text) lastKeys = { text, masker: maskerOf(keys) }
  maskers.set(keys, lastKeys.masker)
  return lastKeys.masker
}

/** JSON text of driver_internal_info, secrets hidden. */
export function internalInfo(row: RawRow, { masker, unmasked }: Pick<ViewContext, 'masker' | 'unmasked'>): string {
  const text = String(row.driver_internal_info)
  const stored = unmasked?.has('driver_internal_info') ? text : masker.text(text)
  const told = agentFacts(row)
  const { flow_progress: progress } = row
  if (told === undefined && typeof progress !== 'string') return stored
  const parts = stored === '{}' ? [] : [stored.slice(1, -1)]
  if (told !== undefined) parts.push(JSON.stringify(told).slice(1, -1))
  if (typeof progress === 'string') parts.push(`"progress":${progress}`)
  return `{${parts.join(',')}}`
}

/** The agent's own facts under Ironic's keys; undefined when it never called. */
function agentFacts(row: RawRow): Record<string, unknown> | undefined {
  if (row.agent_token === null && row.agent_url === null && row.agent_heartbeat_at === null) return undefined
  const facts: Record<string, unknown> = {}
  const put = (key: string, value: unknown) => {
    if (value !== null && value !== undefined) facts[key] = value
  }
  put('agent_url', row.agent_url)
  put('agent_version', row.agent_version)
  // Ironic's spelling of this one time has no offset.
  put('agent_last_heartbeat', row.agent_heartbeat_at && String(row.agent_heartbeat_at).replace('+00:00', ''))
  put('agent_verify_ca', row.agent_verify_ca && `${row.uuid}.crt`)
  put('agent_secret_token', row.agent_token && masked)
  put('agent_secret_token_pregenerated', Number(row.agent_token_pregenerated ?? 0) !== 0 ? masked : null)
  put('agent_status', row.agent_status)
  put('agent_status_message', row.agent_status_message)
  return Object.keys(facts).length > 0 ? facts : undefined
}
