/**
 * The API beside Ironic's, both ways: reference.json lists, as plain facts, what Ironic serves at versions 1.1 to 1.115,
 * and nothing of it may be missing here, nor anything be here that is not in it, except what is named below with why.
 *
 * Lines of reference.json: `METHOD path from below status parameter@from …`, where `-` stands for 404's absence; fields
 * as `name from flags`, with C: may be created with, P: may be patched, S: may stand in `fields`, O: may be sorted by.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocationFields } from '#protocol/allocation.ts'
import { chassisFields } from '#protocol/chassis.ts'
import { deployTemplateFields } from '#protocol/deploy-template.ts'
import type { Field } from '#protocol/field.ts'
import { biosFields, firmwareFields } from '#protocol/firmware.ts'
import { historyFields } from '#protocol/history.ts'
import { inspectionRuleFields } from '#protocol/inspection-rule.ts'
import { minorOf } from '#protocol/microversion.ts'
import { nodeFields } from '#protocol/node.ts'
import { portFields } from '#protocol/port.ts'
import { portgroupFields } from '#protocol/portgroup.ts'
import { runbookFields } from '#protocol/runbook.ts'
import {
  deletable,
  isProvisionState,
  provision,
  provisionStates,
  stateTarget,
  type Verb,
  verbs,
  verbTarget,
} from '#protocol/states.ts'
import { volumeConnectorFields, volumeTargetFields } from '#protocol/volume.ts'
import type { Endpoint } from '../endpoint.ts'
import { endpoints } from '../endpoints.ts'
import { policies } from '../policy/policies.ts'
import reference from './reference.json' with { type: 'json' }

/** Endpoints that are only here. */
const ours = new Set([
  'GET /openapi.json',
  // The method may be named in the query; the reference counts both forms as one.
  ...['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].flatMap(method => [
    `${method} /v1/nodes/{node_ident}/vendor_passthru`,
    `${method} /v1/drivers/{driver_name}/vendor_passthru`,
  ]),
  // The reference counts it as another spelling of the path.
  'GET /v1/drivers/properties',
  // What "baremetal node history list --long" asks for.
  'GET /v1/nodes/{node_ident}/history/detail',
  // What ramdisks of before Ironic 22.1 call, of a service beside it.
  'POST /v1/continue',
  // Ironic's locks end with their process only.
  'POST /v1/nodes/{node_ident}/unlock',
  'GET /v1/nodes/{node_ident}/why',
  // Ironic does, and does not say beforehand what.
  'POST /v1/nodes/{node_ident}/plan',
  'GET /v1/nodes/{node_ident}/timeline',
  'GET /v1/runs',
  // What people who run the service look at.
  'GET /v1/settings',
  'GET /v1/leases',
  'GET /v1/images',
  'GET /v1/events',
  // Ironic can be told of a node, not of the state that it is in.
  'POST /v1/takeover',
  // Ironic keeps archives of logs, after the event, where its API does not reach.
  'POST /v1/ramdisk_log',
  'GET /v1/nodes/{node_ident}/ramdisk_logs',
  'GET /v1/nodes/{node_ident}/ramdisk_logs/{boot}',
])

/** Endpoints outside of the frame, each with its own test: healthcheck.test.ts. */
const elsewhere = new Set(['GET /healthcheck'])

/** The line of reference.json that an endpoint of ours would be. */
function line({ method, path, from, below, status, query = {}, args = {}, body }: Endpoint): string {
  // Named arguments stand in the body; only those of a DELETE are known to the reference as a query.
  const inQuery = body === undefined && method !== 'DELETE' ? query : { ...query, ...args }
  const parameters = Object.entries(inQuery).map(([name, one]) =>
    one.from === undefined || minorOf(one.from) <= minorOf(from) ? name : `${name}@${one.from}`,
  )
  const refused = minorOf(from) > 1 ? String(below ?? 404) : '-'
  return [method, path, from, refused, String(status), ...parameters.sort()].join(' ')
}

test('every endpoint of the reference is served, with its gate, status and parameters, and no other', () => {
  const known = reference.endpoints.flatMap(text => {
    const [method, path, from, below, status = '', ...parameters] = text.split(' ')
    if (elsewhere.has(`${method} ${path}`)) return []
    // 202 is for asynchronous vendor methods; no driver here has one.
    return [method, path, from, below, status.replace('200|202', '200'), ...parameters.sort()].join(' ')
  })
  const served = endpoints.filter(one => !ours.has(`${one.method} ${one.path}`)).map(line)
  assert.deepEqual(served.toSorted(), known.toSorted())
  const all = new Set(endpoints.map(one => `${one.method} ${one.path}`))
  assert.deepEqual(
    [...ours].filter(one => !all.has(one)),
    [],
    'exceptions that are none any more',
  )
})

const tables: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  node: nodeFields,
  port: portFields,
  portgroup: portgroupFields,
  chassis: chassisFields,
  allocation: allocationFields,
  deployTemplate: deployTemplateFields,
  runbook: runbookFields,
  inspectionRule: inspectionRuleFields,
  volumeConnector: volumeConnectorFields,
  volumeTarget: volumeTargetFields,
  history: historyFields,
  bios: biosFields,
  firmware: firmwareFields,
}

/** Written on creation under another name than the field it sets: no fields here, but keys of the body. */
const writeOnly = new Set(['node_ident', 'node'])

for (const [resource, table] of Object.entries(tables)) {
  test(`the fields of a ${resource} are those of the reference`, () => {
    const known = (reference.fields as Readonly<Record<string, string[]>>)[resource] ?? []
    // Only the fields of nodes are told with what may be selected and sorted by.
    const told = resource === 'node' ? 'CPSO' : 'CP'
    const have = Object.entries(table).map(([name, field]) => {
      const has = { C: field.create, P: field.patch, S: field.select !== false, O: field.sort }
      const flags = [...told].filter(flag => has[flag as keyof typeof has]).join('') // the four keys of has
      return `${name} ${field.from} ${flags || '-'}`
    })
    const wanted = known.filter(text => !writeOnly.has(text.split(' ', 1)[0] ?? ''))
    assert.deepEqual(have.toSorted(), wanted.toSorted())
  })
}

test('the states are those of the reference, with their kinds, targets, verbs and what they allow', () => {
  const have = provisionStates.map(name => ({
    name,
    kind: provision[name].kind,
    target: stateTarget(name),
    patch: provision[name].patch,
    lookup: provision[name].lookup,
    deletable: deletable.includes(name),
    verbs: (Object.keys(verbs) as Verb[]).filter(verb => verbTarget(name, verb) !== undefined).sort(), // literal keys
  }))
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
  assert.deepEqual(have.toSorted(byName), reference.states.toSorted(byName))
})

test('the transitions are those of the reference', () => {
  const have = provisionStates.flatMap(from =>
    Object.entries(provision[from].on).map(([event, to]) => `${from} | ${event} | ${to}`),
  )
  const known = reference.transitions.map(text => text.split(' | ').slice(0, 3).join(' | '))
  assert.deepEqual(have.toSorted(), known.toSorted())
  // What a verb may start is what the reference calls the API's; the rest belongs to the service.
  const asked = new Set(
    provisionStates.flatMap(from =>
      (Object.keys(verbs) as Verb[]) // literal keys
        .filter(verb => verbTarget(from, verb) !== undefined)
        .map(verb => `${from} | ${verbs[verb].event} | ${verbTarget(from, verb)}`),
    ),
  )
  const ofApi = reference.transitions.filter(text => text.endsWith('| api')).map(text => text.replace(/ \| api$/, ''))
  assert.deepEqual([...asked].toSorted(), ofApi.toSorted())
})

test('the verbs are those of the reference', () => {
  const first = (verb: Verb) =>
    Object.fromEntries(provisionStates.map(from => [from, verbTarget(from, verb)]).filter(([, to]) => to !== undefined))
  const have = (Object.keys(verbs) as Verb[]) // literal keys
    .map(verb => ({ verb, event: verbs[verb].event, from: verbs[verb].from, first: first(verb) }))
  const byVerb = (a: { verb: string }, b: { verb: string }) => (a.verb < b.verb ? -1 : 1)
  assert.deepEqual(have.toSorted(byVerb), reference.verbs.toSorted(byVerb))
  for (const { first } of reference.verbs) assert.ok(Object.keys(first).every(isProvisionState))
})

/** Policies of endpoints that are only here. */
const ourPolicies = [
  'baremetal:node:unlock',
  'baremetal:node:take_over',
  'baremetal:settings:get',
  'baremetal:leases:get',
  'baremetal:images:get',
]

test('the policies are those of the reference', () => {
  assert.deepEqual(Object.keys(policies).sort(), [...reference.policies, ...ourPolicies].sort())
})

test('endpoints name policies of the reference only', () => {
  const known = new Set([...reference.policies, ...ourPolicies])
  const unknown = endpoints.flatMap(({ id, policy }) =>
    policy === 'public' ? [] : policy.filter(name => !known.has(name)).map(name => `${id}: ${name}`),
  )
  assert.deepEqual(unknown, [])
})
