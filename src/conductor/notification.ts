/**
 * An event as Ironic's notifications have it: the envelope of a message bus, a versioned payload with the node. Only what
 * Ironic tells too has one: changes of provision state and of power. It reads nodes and changes nothing.
 *
 * Source: Ironic ironic/objects/node.py (payloads, their versions), ironic/conductor/task_manager.py (which status);
 * oslo.messaging, notifier (envelope).
 */
import type { Db } from '#db/database.ts'
import type { FedEvent } from '#db/event-feed.ts'
import { findNode, type Node } from '#db/nodes.ts'
import { mask } from '#lib/mask.ts'
import { type ProvisionState, provision } from '#protocol/states.ts'

/** Fields of the node that each payload has, at version 1.16 of NodePayload. */
const nodeFields = [
  ...[
    'clean_step',
    'conductor_group',
    'console_enabled',
    'created_at',
    'deploy_step',
    'description',
    'driver',
    'extra',
  ],
  ...['boot_mode', 'secure_boot', 'inspection_finished_at', 'inspection_started_at', 'instance_uuid', 'last_error'],
  ...['maintenance', 'maintenance_reason', 'fault', 'name', 'bios_interface', 'boot_interface', 'console_interface'],
  ...['deploy_interface', 'inspect_interface', 'management_interface', 'network_interface', 'power_interface'],
  ...['raid_interface', 'rescue_interface', 'storage_interface', 'vendor_interface', 'owner', 'lessee', 'power_state'],
  ...['properties', 'protected', 'protected_reason', 'provision_state', 'provision_updated_at', 'resource_class'],
  ...['retired', 'retired_reason', 'target_power_state', 'target_provision_state', 'traits', 'updated_at', 'uuid'],
]

interface Told {
  /** After `baremetal.node.`. */
  event: string
  payload: string
  version: string
  more: Record<string, unknown>
}

/** A message as its receivers have it, without the envelope of a bus. */
export type Notification = Record<string, unknown> & { readonly priority: 'INFO' | 'ERROR' }

/** The notifications that Ironic would make of events, in their order; nothing of nodes that are gone. */
export async function notificationsOf(db: Db, events: readonly FedEvent[]): Promise<Notification[]> {
  const found: Notification[] = []
  for (const event of events) {
    const node = event.node_uuid === null ? undefined : await findNode(db, event.node_uuid)
    const notification = node && notificationOf(event, node)
    if (notification) found.push(notification)
  }
  return found
}

/** Undefined: Ironic tells nothing of the kind. */
function notificationOf(event: FedEvent, node: Node): Notification | undefined {
  const told = toldOf(event, node)
  if (!told) return undefined
  const fields = node as unknown as Record<string, unknown> // read by the names of the API's fields
  const data = { ...Object.fromEntries(nodeFields.map(name => [name, fields[name] ?? null])), ...told.more }
  return {
    // The same event is the same message, however often it comes.
    message_id: `00000000-0000-4000-8000-${event.id.toString(16).padStart(12, '0')}`,
    publisher_id: `ironic-conductor.${event.data.conductor ?? 'unknown'}`,
    event_type: `baremetal.node.${told.event}`,
    priority: told.event.endsWith('.error') ? 'ERROR' : 'INFO',
    timestamp: event.at.replace('T', ' ').replace(/\+00:00$/, ''),
    payload: {
      'ironic_object.name': told.payload,
      'ironic_object.namespace': 'ironic',
      'ironic_object.version': told.version,
      'ironic_object.data': data,
    },
  }
}

function toldOf({ kind, data }: FedEvent, node: Node): Told | undefined {
  if (kind === 'power') {
    const more = { to_power: data.state ?? null }
    return { event: 'power_set.end', payload: 'NodeSetPowerStatePayload', version: '1.16', more }
  }
  if (kind === 'power seen') {
    const more = { from_power: data.from ?? null }
    return { event: 'power_state_corrected.success', payload: 'NodeCorrectedPowerStatePayload', version: '1.16', more }
  }
  if (kind !== 'provision state') return undefined
  const [from, to] = [String(data.from), String(data.to)]
  const { configdrive: _, ...instanceInfo } = node.instance_info
  const more = {
    provision_state: to,
    target_provision_state: data.target ?? null,
    previous_provision_state: from,
    previous_target_provision_state: null,
    event: null,
    instance_info: mask(instanceInfo),
    driver_internal_info: {},
  }
  return {
    event: `provision_set.${statusOf(from, to)}`,
    payload: 'NodeSetProvisionStatePayload',
    version: '1.17',
    more,
  }
}

/** A state in which work goes on, or waits for its machine. */
function isUnderWay(state: string): boolean {
  return ['transitional', 'wait', 'hold'].includes(kindOf(state))
}

function statusOf(from: string, to: string): string {
  if (kindOf(to) === 'failed') return 'error'
  if (isUnderWay(from) === isUnderWay(to)) return 'success'
  return isUnderWay(to) ? 'start' : 'end'
}

function kindOf(state: string): string {
  return Object.hasOwn(provision, state) ? provision[state as ProvisionState].kind : ''
}
