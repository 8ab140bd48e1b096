import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ProvisionState, provisionStates, type Verb, verbs, verbTarget } from '#protocol/states.ts'
import { type Actionable, leadsTo, maintenanceActions, powerActions, provisionActions } from './verbs.ts'

const node = (more: Partial<Actionable> = {}): Actionable => ({
  uuid: 'u',
  name: null,
  provision_state: 'available',
  maintenance: false,
  power_state: 'power off',
  target_power_state: null,
  protected: false,
  ...more,
})
const offered = (actionable: Actionable) =>
  provisionActions.filter(action => action.refusal(actionable) === undefined).map(action => action.id)

test('every event that a verb of the API fires has one button', () => {
  const events = (ids: readonly string[]) => ids.map(id => verbs[id as Verb].event).sort() // ids of verbs
  const ids = provisionActions.map(action => action.id)
  assert.deepEqual(events(ids), [...new Set(Object.values(verbs).map(verb => verb.event))].sort())
})

test('what is offered is what the table of states allows', () => {
  for (const state of provisionStates) {
    for (const action of provisionActions) {
      const target: ProvisionState | undefined = verbTarget(state, action.id as Verb) // ids of verbs
      assert.equal(leadsTo(state, action), target)
      assert.equal(action.refusal(node({ provision_state: state })) === undefined, target !== undefined)
    }
  }
  assert.deepEqual(offered(node()), ['deploy', 'manage'])
})

test('maintenance, protection and a change of power under way refuse what the API would refuse', () => {
  assert.deepEqual(offered(node({ maintenance: true })), ['manage'])
  assert.ok(!offered(node({ provision_state: 'active', protected: true })).includes('undeploy'))
  const changing = node({ target_power_state: 'power on' })
  assert.ok(powerActions.every(action => /being changed/.test(action.refusal(changing) ?? '')))
  assert.equal(powerActions.find(action => action.id === 'power off')?.refusal(node()), 'it is so already')
  assert.deepEqual(
    maintenanceActions.map(action => action.refusal(node()) === undefined),
    [true, false],
  )
})
