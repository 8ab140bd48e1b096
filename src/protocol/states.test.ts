import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  attemptTo,
  isProvisionState,
  provision,
  provisionStates,
  stateTarget,
  target,
  type Verb,
  verbs,
  verbTarget,
} from './states.ts'

describe('the state table', () => {
  test('names only its own rows', () => {
    for (const state of provisionStates) {
      const row = provision[state]
      if ('target' in row) assert.ok(isProvisionState(row.target), `${state} aims at ${row.target}`)
      for (const to of Object.values(row.on)) assert.ok(isProvisionState(to), `${state} leads to ${to}`)
    }
  })

  test('has a target in every state that is on its way, and none at rest', () => {
    for (const state of provisionStates) {
      const resting = provision[state].kind === 'stable'
      assert.equal(stateTarget(state) === null, resting, state)
    }
  })

  test('lets every state that works fail, and every state be left', () => {
    for (const state of provisionStates) {
      if (provision[state].kind === 'transitional') assert.ok(target(state, 'fail'), `${state} cannot fail`)
      assert.ok(Object.keys(provision[state].on).length > 0, `${state} has no way out`)
    }
  })

  test('reaches every state from enroll', () => {
    const reached = new Set<string>(['enroll'])
    for (const state of reached) {
      for (const to of Object.values(provision[state as keyof typeof provision].on)) reached.add(to)
    }
    assert.deepEqual([...reached].sort(), [...provisionStates].sort())
  })
})

describe('verbs', () => {
  const cases: [Verb, string[]][] = [
    ['active', ['available', 'deploy failed']],
    ['rebuild', ['deploy failed', 'active', 'error']],
    ['manage', ['enroll', 'inspect failed', 'clean failed', 'available', 'adopt failed']],
    ['provide', ['manageable']],
    ['inspect', ['manageable', 'inspect failed']],
    ['clean', ['manageable']],
    ['unhold', ['clean hold', 'deploy hold', 'service hold']],
    ['service', ['active', 'service hold', 'service failed']],
    [
      'abort',
      [
        'inspect wait',
        'clean wait',
        'clean hold',
        'wait call-back',
        'deploy hold',
        'service wait',
        'service hold',
        'service failed',
        'rescue wait',
      ],
    ],
    [
      'deleted',
      [
        'wait call-back',
        'deploy failed',
        'active',
        'service wait',
        'service failed',
        'rescue wait',
        'rescue',
        'rescue failed',
        'unrescue failed',
        'error',
      ],
    ],
  ]
  for (const [verb, states] of cases) {
    test(`${verb} is accepted exactly where Ironic accepts it`, () => {
      assert.deepEqual(provisionStates.filter(state => verbTarget(state, verb)).sort(), [...states].sort())
    })
  }

  test('read as English after "Cannot"', () => {
    const told = Object.keys(verbs).map(verb => [verb, attemptTo(verb as Verb, 'n1')]) // the keys of the table are verbs
    assert.deepEqual(Object.fromEntries(told), {
      active: 'deploy node n1',
      deploy: 'deploy node n1',
      rebuild: 'rebuild node n1',
      deleted: 'undeploy node n1',
      undeploy: 'undeploy node n1',
      manage: 'manage node n1',
      provide: 'make node n1 available',
      inspect: 'inspect node n1',
      abort: 'abort the work on node n1',
      clean: 'clean node n1',
      adopt: 'adopt node n1',
      rescue: 'rescue node n1',
      unrescue: 'end the rescue of node n1',
      unhold: 'end the hold of node n1',
      service: 'service node n1',
    })
  })

  test('are all events of the table', () => {
    const events = new Set(provisionStates.flatMap(state => Object.keys(provision[state].on)))
    for (const verb of Object.values(verbs)) assert.ok(events.has(verb.event), verb.event)
  })
})
