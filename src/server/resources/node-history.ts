/**
 * A node's history: the log of events, told as Ironic's history entries. An event's number is its identity; the UUID
 * that the API wants is that number in the form of one.
 */

import { findHistoryRow, listHistoryRows } from '#db/history-rows.ts'
import type { RawRow } from '#db/page.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { historyFields } from '#protocol/history.ts'
import { type Minor, minorOf } from '#protocol/microversion.ts'
import { listSchema, nextUrl, paging } from '../collection.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { mustFindNode } from '../find-node.ts'
import { boolean, type ValuesOf } from '../parameters.ts'
import { answerSchema } from '../schemas.ts'

const short = new Set(['uuid', 'created_at', 'severity', 'event', 'links'])
const HistoryAnswer = answerSchema(historyFields)
const prefix = '00000000-0000-4000-8000-'

function uuidOf(id: number): string {
  return prefix + id.toString(16).padStart(12, '0')
}

/** The event's number; undefined for a UUID that is none of ours. */
function idOf(uuid: string): number | undefined {
  const lower = uuid.toLowerCase()
  return lower.startsWith(prefix) ? Number.parseInt(lower.slice(prefix.length), 16) : undefined
}

/** The entry at a version; `names`: only these fields. */
function entry(call: Call, nodeUuid: string, row: RawRow, names?: ReadonlySet<string>): Record<string, unknown> {
  const data = JSON.parse(String(row.data)) as Readonly<Record<string, unknown>> // written by appendEvent
  const uuid = uuidOf(Number(row.id))
  const all: Record<keyof typeof historyFields, unknown> = {
    uuid,
    created_at: row.at,
    severity: typeof data.error === 'string' || row.kind === 'aborted' ? 'ERROR' : 'INFO',
    event: told(String(row.kind), data),
    links: [{ href: `${call.links.base}/v1/nodes/${nodeUuid}/history/${uuid}`, rel: 'self' }],
    event_type: eventType(String(row.kind), row.flow ?? data.purpose),
    conductor: data.conductor ?? null,
    user: data.user ?? row.requested_by ?? null,
    project: data.project ?? row.requested_project ?? null,
    state: data.to ?? data.provision_state ?? data.from ?? null,
    target_provision_state: data.target ?? data.target_provision_state ?? null,
    duration_seconds:
      row.kind === 'ended' ? secondsBetween(row.started_at, row.ended_at) : (data.duration_seconds ?? null),
  }
  if (names && String(all.event).length > 255) all.event = `${String(all.event).slice(0, 251)}...`
  return Object.fromEntries(Object.entries(all).filter(([name]) => shown(name, call.version, names)))
}

function shown(name: string, version: Minor, names: ReadonlySet<string> | undefined): boolean {
  const field = historyFields[name as keyof typeof historyFields] // names come from an object with these keys
  return minorOf(field.from) <= version && (names?.has(name) ?? true)
}

/** An event in words. */
function told(kind: string, data: Readonly<Record<string, unknown>>): string {
  switch (kind) {
    case 'provision state':
      return `Moved from "${data.from}" to "${data.to}"`
    case 'requested':
      return `Requested: ${requested(data)}`
    case 'aborted':
      return String(data.message)
    case 'step started':
    case 'step finished':
      return `${kind === 'step started' ? 'Began' : 'Ended'} the ${data.kind} step ${data.step}`
    case 'playbook task':
      return `Playbook ${data.playbook}, task "${data.task}": ${data.error ?? data.outcome}`
    case 'playbook ended':
      return data.error === undefined ? `Ran the playbook ${data.playbook} for ${data.step}` : String(data.error)
    case 'action':
      return data.error === undefined ? `Done: ${data.told}` : `Failed: ${data.told}: ${data.error}`
    case 'boot again':
      return `Booting the ramdisk again, attempt ${data.attempt}: ${data.why}`
    case 'image written':
      return `Wrote the image in ${data.seconds} s: ${data.received_bytes} bytes received (${data.received_twice_bytes} of them twice), ${data.written_bytes} written, ${data.zeroed_bytes} zeroed, ${data.kept_bytes} found in place`
    case 'inspection rules':
      return rulesTold(data)
    case 'ramdisk logs':
      return `Kept the ramdisk's logs of the ${data.of}: ${data.kept}`
    case 'unlocked':
      return `Taken from conductor ${data.holder}, which held it for "${data.purpose}" since ${data.since}`
    case 'power seen':
      return `Found the machine in "${data.state}", not in "${data.from}" as it was left`
    case 'power failure':
      return `Put in maintenance: ${data.error}`
    case 'power recovered':
      return `The BMC answers again, the machine is in "${data.state}": taken out of maintenance`
    default:
      return typeof data.error === 'string' ? data.error : `Ended: ${data.flow} (${data.state})`
  }
}

/** Which rules did what: "Applied 1 of 3 inspection rules: 4c0b… (names of racks): set-attribute /extra/rack". */
function rulesTold({ applied, skipped }: Readonly<Record<string, unknown>>): string {
  const rules = applied as { uuid: string; description: string | null; did: readonly string[] }[] // as the flow tells it
  const all = rules.length + Number(skipped)
  const told = rules.map(({ uuid, description, did }) => {
    const named = description === null ? uuid : `${uuid} (${description})`
    return did.length === 0 ? named : `${named}: ${did.join(', ')}`
  })
  return `Applied ${rules.length} of ${all} inspection rules${told.length === 0 ? '' : `: ${told.join('; ')}`}`
}

/** What was asked for: "power off", "rebuild (deploy)", "inspect". */
function requested({ about, event, flow }: Readonly<Record<string, unknown>>): string {
  if (typeof about === 'string') return about
  return typeof event === 'string' && event !== flow ? `${event} (${flow})` : String(flow)
}

/** Ironic's word for the kind of work; `about`: the flow, or what the lease was taken for. */
function eventType(kind: string, about: unknown): string {
  if (kind === 'provision state') return 'transition'
  if (kind === 'unlocked') return 'conductor'
  if (kind.startsWith('power ')) return 'monitoring'
  const words: Readonly<Record<string, string>> = {
    deploy: 'deploying',
    clean: 'cleaning',
    inspect: 'introspection',
    discover: 'introspection',
    verify: 'verify',
    undeploy: 'unprovision',
    adopt: 'adoption',
    rescue: 'rescue',
    unrescue: 'rescue',
    service: 'servicing',
    'service abort': 'servicing',
    console: 'console',
  }
  return words[String(about)] ?? 'UNKNOWN'
}

function secondsBetween(from: unknown, to: unknown): number | null {
  if (typeof from !== 'string' || typeof to !== 'string') return null
  return Math.max(0, Math.round((Date.parse(to) - Date.parse(from)) / 1000))
}

async function list(
  call: Call<{ node_ident: string }, ValuesOf<typeof paging>>,
  { whole }: { whole: boolean },
): Promise<Answer> {
  const { query, config } = call
  const node = await mustFindNode(call, call.params.node_ident)
  const { sort_key = 'created_at', marker } = query
  if (sort_key !== 'created_at' && sort_key !== 'uuid' && sort_key !== 'id') {
    throw new InvalidInput(`Cannot sort by ${sort_key}: expected created_at or uuid`)
  }
  const after = marker === undefined ? undefined : idOf(marker)
  if (marker !== undefined && after === undefined) throw new NotFound(`Event ${marker} could not be found.`)
  const limit = Math.min(query.limit ?? config.api.max_limit, config.api.max_limit)
  // Events are numbered as they happen, so their order is that of their times and of their UUIDs too.
  const page = { limit, marker: after?.toString(), sortKey: 'id', descending: query.sort_dir === 'desc' }
  const { rows, next } = await listHistoryRows(call.db, node.uuid, page, {
    withSteps: config.conductor.record_step_flows_in_history,
  })
  const history = rows.map(row => entry(call, node.uuid, row, whole ? undefined : short))
  const more = next && { next: nextUrl(call, limit, uuidOf(Number(next.id))) }
  return { json: JSON.stringify({ history, ...more }) }
}

export const nodeHistory: readonly Endpoint[] = [
  endpoint({
    id: 'node.listHistory',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/history',
    from: '1.78',
    status: 200,
    policy: ['baremetal:node:history:get'],
    query: { ...paging, detail: boolean({}) },
    response: listSchema('history', HistoryAnswer),
    handle: call => list(call, { whole: call.query.detail === true }),
  }),
  endpoint({
    // The older way to the long form, as other resources have it: baremetal node history list --long asks for this.
    id: 'node.listHistoryDetail',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/history/detail',
    from: '1.78',
    status: 200,
    policy: ['baremetal:node:history:get'],
    query: paging,
    response: listSchema('history', HistoryAnswer),
    handle: call => list(call, { whole: true }),
  }),
  endpoint({
    id: 'node.getHistory',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/history/{event_uuid}',
    from: '1.78',
    status: 200,
    policy: ['baremetal:node:history:get'],
    response: HistoryAnswer,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const id = idOf(call.params.event_uuid)
      const row = id === undefined ? undefined : await findHistoryRow(call.db, node.uuid, id)
      if (!row) throw new NotFound(`Event ${call.params.event_uuid} of node ${node.uuid} could not be found.`)
      return { json: JSON.stringify(entry(call, node.uuid, row)) }
    },
  }),
]
