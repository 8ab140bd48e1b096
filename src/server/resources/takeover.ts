/**
 * Taking a node over from another service: it comes in the state that it is in, with its ports, volumes, allocation and
 * what is known of its hardware, in one transaction. The machine is not asked and not touched; what its driver would need
 * to reach it is only checked for being known here. Ironic has no such call: it can be told of a node, not of a state.
 */
import { findNodeRow } from '#db/node-rows.ts'
import { portsOf } from '#db/ports.ts'
import { insertTakeover } from '#db/takeover.ts'
import { InvalidInput } from '#lib/fault.ts'
import { allocationFields } from '#protocol/allocation.ts'
import type { Field } from '#protocol/field.ts'
import { nodeFields } from '#protocol/node.ts'
import { portgroupFields } from '#protocol/portgroup.ts'
import { isUnstable, type ProvisionState } from '#protocol/states.ts'
import { maskedPaths, maskingFields, Takeover, TakeoverAnswer } from '#protocol/takeover.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { boolean } from '../parameters.ts'
import { checkField } from '../patch.ts'
import { checkChassis } from './node-references.ts'
import { checkName, checkValues, interfaceFields } from './node-rules.ts'

export const takeover: readonly Endpoint[] = [
  endpoint({
    id: 'node.takeOver',
    method: 'POST',
    path: '/v1/takeover',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:take_over'],
    query: { check: boolean({ doc: 'only say whether it could be taken; change nothing' }) },
    body: Takeover,
    bodySize: 'inspection',
    response: TakeoverAnswer,
    doc: "Ferrite's own: takes a node over from another service in the state it is in. The machine is left alone.",
    async handle(call) {
      call.allow(null)
      const taken = call.body as Takeover // by its schema, which is made of the same tables of fields
      await check(call, taken)
      const { uuid } = taken.node
      if (call.query.check === true) return { json: JSON.stringify({ uuid }) }
      const { user, project } = call.caller
      const { provision_state, target_provision_state = null } = taken.node
      const told = { purpose: 'take over', told: 'take over from another service', duration_seconds: 0 }
      const by = { ...told, user, project, provision_state, target_provision_state, conductor: call.conductor.hostname }
      const node = await insertTakeover(call.db, taken, { nowMs: call.clock.now(), by })
      await call.conductor.portsChanged(node, await portsOf(call.db, uuid))
      return { json: JSON.stringify({ uuid }) }
    },
  }),
]

/** @throws InvalidInput naming what a node must not be like to be taken over */
async function check(call: Call, { node, ports = [], portgroups = [], allocation, ...rest }: Takeover): Promise<void> {
  const cannot = `Cannot take over node ${node.uuid}`
  checkFields(nodeFields, node)
  for (const one of portgroups) checkFields(portgroupFields, one)
  if (allocation) checkFields(allocationFields, allocation)
  checkName(node.name, call.version)
  checkValues(node)
  const state = node.provision_state as ProvisionState // by its schema
  if (isUnstable(state)) {
    throw new InvalidInput(`${cannot}: it is in state "${state}", expected one in which nothing is under way`)
  }
  for (const field of ['reservation', 'target_power_state'] as const) {
    if (node[field] !== undefined && node[field] !== null) {
      throw new InvalidInput(`${cannot}: ${field} is "${String(node[field])}", expected that nobody works on it`)
    }
  }
  const masked = [
    ...maskingFields.flatMap(field => (field === 'properties' ? [] : maskedPaths(node[field], field))),
    ...(rest.volume_targets ?? []).flatMap(target => maskedPaths(target.properties, 'volume target properties')),
  ]
  if (masked.length > 0) {
    throw new InvalidInput(`${cannot}: ${masked.join(', ')} hold asterisks, expected the secrets in their place`)
  }
  const chosen = Object.fromEntries(interfaceFields.map(name => [name, (node[name] ?? null) as string | null])) // by their schemas
  const interfaces = call.conductor.interfacesFor(node.driver, chosen)
  for (const name of interfaceFields) {
    if (node[name] === undefined) Object.assign(node, { [name]: interfaces[name] })
  }
  await checkChassis(call, node.chassis_uuid)
  if (typeof node.parent_node === 'string') {
    const parent = await findNodeRow(call.db, { own: ['uuid'], joined: false }, node.parent_node)
    if (!parent)
      throw new InvalidInput(`${cannot}: its parent ${node.parent_node} is not here; expected it to come first`)
  }
  if (allocation && allocation.uuid !== node.instance_uuid) {
    throw new InvalidInput(
      `${cannot}: its allocation ${String(allocation.uuid)} is not its instance ${String(node.instance_uuid)}`,
    )
  }
  for (const { uuid, portgroup_uuid } of ports) {
    if (portgroup_uuid && !portgroups.some(group => group.uuid === portgroup_uuid)) {
      throw new InvalidInput(
        `${cannot}: its port ${String(uuid)} is in portgroup ${String(portgroup_uuid)}, which is missing`,
      )
    }
  }
}

function checkFields(fields: Readonly<Record<string, Field>>, values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) {
    const field = fields[name]
    if (field && value !== undefined) checkField(name, field, value)
  }
}
