/**
 * Malformed requests of every kind against every endpoint: none may answer 500 or hang, each error must be readable as
 * clients read it, and what was refused must have changed nothing.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { deployTemplateFields } from '#protocol/deploy-template.ts'
import { inspectionRuleFields } from '#protocol/inspection-rule.ts'
import { nodeFields } from '#protocol/node.ts'
import { portFields } from '#protocol/port.ts'
import { portgroupFields } from '#protocol/portgroup.ts'
import { runbookFields } from '#protocol/runbook.ts'
import { verbs } from '#protocol/states.ts'
import { endpoints } from './endpoints.ts'
import { startApi, type TestApi } from './test-api.ts'

/** More with FUZZ_RUNS in the environment. */
const runs = Number(process.env.FUZZ_RUNS ?? 1500)

let api: TestApi
let uuid: string
before(async () => {
  api = await startApi()
  uuid = await api.node({ name: 'n1' })
  await api.call('POST', '/v1/ports', { body: { node_uuid: uuid, address: '52:54:00:00:00:01', name: 'p1' } })
  await api.call('POST', '/v1/portgroups', { body: { node_uuid: uuid, name: 'p1' } })
  const step = { interface: 'bios', step: 'apply', args: {} }
  const [template, runbook] = [
    { ...step, priority: 1 },
    { ...step, order: 1 },
  ]
  await api.call('POST', '/v1/deploy_templates', { body: { name: 'CUSTOM_A', steps: [template] } })
  await api.call('POST', '/v1/runbooks', { body: { name: 'CUSTOM_A', steps: [runbook] } })
})
after(() => api[Symbol.asyncDispose]())

const allFields = {
  ...nodeFields,
  ...portFields,
  ...portgroupFields,
  ...deployTemplateFields,
  ...runbookFields,
  ...inspectionRuleFields,
}
const nasty = fc.constantFrom(
  '',
  ' ',
  '\0',
  '%00',
  '../..',
  '__proto__',
  'constructor',
  "' or 1=1 --",
  '💥',
  'null',
  '-1',
  '1e999',
  'x'.repeat(5000),
  '/extra/__proto__/x',
  '6d85703a-565d-469a-96ce-30b6de53079d',
  '52:54:00:00:00:01',
  'n1',
  'true',
)
const anyText = fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 40 }))
const anyJson = fc.oneof(fc.jsonValue({ maxDepth: 4 }), nasty)
const patch = fc.array(
  fc.record(
    {
      op: fc.oneof(fc.constantFrom('add', 'replace', 'remove', 'move', 'test'), anyText),
      path: fc.oneof(
        fc.constantFrom(...Object.keys(allFields)).map(name => `/${name}`),
        fc.constantFrom('/extra/a', '/extra/a/b', '/properties/-', '/driver_info/~1', '/name/x', '//', '/', ''),
        anyText,
      ),
      value: anyJson,
    },
    { requiredKeys: [] },
  ),
  { maxLength: 4 },
)
const fieldsBody = fc.dictionary(fc.constantFrom(...Object.keys(allFields)), anyJson, {
  maxKeys: 8,
})
const argumentNames = [
  'target',
  'timeout',
  'configdrive',
  'clean_steps',
  'deploy_steps',
  'reason',
  'boot_device',
  'persistent',
]
const argumentsBody = fc.dictionary(
  fc.constantFrom(...argumentNames, 'agent_token', 'callback_url', 'agent_version', 'rescue_password', 'runbook'),
  fc.oneof(anyJson, fc.constantFrom(...Object.keys(verbs), 'power on', 'rebooting', 'https://h:1', 'pxe')),
  { maxKeys: 5 },
)
const body = fc.oneof(
  patch.map(value => JSON.stringify(value)),
  fieldsBody.map(value => JSON.stringify({ driver: 'fake-hardware', ...value })),
  argumentsBody.map(value => JSON.stringify(value)),
  anyJson.map(value => JSON.stringify(value)),
  anyText,
)
const queryNames = [...new Set(endpoints.flatMap(one => Object.keys({ ...one.query, ...one.args }))), 'nope']

/** Mostly what lets a request through to its handler, so that the handlers are tried too. */
const mostly = <T>(good: fc.Arbitrary<T>, odd: fc.Arbitrary<T>) =>
  fc.oneof({ arbitrary: good, weight: 5 }, { arbitrary: odd, weight: 1 })

const request = fc.record({
  endpoint: fc.constantFrom(...endpoints),
  params: fc.array(mostly(fc.constantFrom('n1', 'p1', 'CUSTOM_A', 'host-1', 'redfish'), anyText), {
    minLength: 2,
    maxLength: 2,
  }),
  query: mostly(fc.constant({}), fc.dictionary(fc.constantFrom(...queryNames), anyText, { maxKeys: 3 })),
  version: mostly(
    fc.constant('latest'),
    fc.oneof(
      fc.integer({ min: 1, max: 115 }).map(minor => `1.${minor}`),
      fc.constantFrom('9', 'a'),
    ),
  ),
  type: mostly(fc.constant('application/json'), fc.constantFrom('text/plain', 'application/octet-stream', 'x')),
  body: fc.option(body),
})

test(`${runs} malformed requests: no 500, no hang, readable errors`, { timeout: 600_000 }, async () => {
  const seen = new Map<number, number>()
  await fc.assert(
    fc.asyncProperty(request, async ({ endpoint, params, query, version, type, body: raw }) => {
      let index = 0
      const filled = endpoint.path.replaceAll(/\{\w+\}/g, () =>
        encodeURIComponent(params[index++ % 2] ?? '').replaceAll('.', '%2E'),
      )
      const path = `${filled}?${new URLSearchParams(query)}`
      const options = endpoint.method === 'GET' || raw === null ? {} : { raw, headers: { 'Content-Type': type } }
      const reply = await api.call(endpoint.method, path, { version, ...options })
      seen.set(reply.status, (seen.get(reply.status) ?? 0) + 1)
      assert.notEqual(reply.status, 500, `${endpoint.method} ${path}: ${reply.fault}`)
      if (reply.status >= 400) assert.notEqual(reply.fault, '', `${endpoint.method} ${path} says nothing`)
      // The two things that every path may name are there for the next request.
      if (endpoint.method === 'DELETE' && reply.status === 204) await restore()
    }),
    { numRuns: runs },
  )
  // Requests went through to handlers, too, not only into the first check.
  for (const status of [200, 400, 404, 406])
    assert.ok((seen.get(status) ?? 0) > runs / 100, `${status} of ${[...seen]}`)
  assert.equal((await api.call('GET', '/v1/nodes')).status, 200)
  assert.equal(({} as Record<string, unknown>).x, undefined, 'no prototype was touched')
})

async function restore(): Promise<void> {
  if ((await api.call('GET', '/v1/nodes/n1')).status === 404) uuid = await api.node({ name: 'n1' })
}

test('a refused patch leaves the node as it was, whatever came before the mistake', async () => {
  const node = await api.node({ extra: { a: 1 }, properties: { cpus: 1 } })
  await fc.assert(
    fc.asyncProperty(patch, async operations => {
      const before = (await api.call('GET', `/v1/nodes/${node}`)).json
      const reply = await api.call('PATCH', `/v1/nodes/${node}`, { body: operations })
      if (reply.status !== 200) assert.deepEqual((await api.call('GET', `/v1/nodes/${node}`)).json, before)
    }),
    { numRuns: 300 },
  )
})
