import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { type Identity, nobody } from '../auth.ts'
import type { Target } from './policy.ts'
import { readRules } from './policy-file.ts'
import { NoRule, parseRule } from './rule.ts'

const member = { ...nobody, userId: 'u', projectId: 'p', projectName: 'Project', roles: ['member', 'reader'] }
const system = { ...nobody, userId: 's', system: true, roles: ['admin'] }
const nodeOf = (owner: string | null, lessee: string | null = null): Target => ({ owner, lessee })

function holds(text: string, identity: Identity = member, target: Target | null = null): boolean {
  const others = { yes: parseRule('@'), no: parseRule('!') }
  return parseRule(text).check({
    identity,
    target,
    serviceProject: null,
    rule: name => others[name as keyof typeof others]?.check, // undefined for any other
  })
}

test('what rules mean', () => {
  const cases: [rule: string, expected: boolean][] = [
    ['', true],
    ['@', true],
    ['!', false],
    ['role:member', true],
    ['role:MEMBER', true],
    ['role:admin', false],
    ['not role:admin', true],
    ['role:admin or role:member', true],
    ['role:admin and role:member', false],
    ['role:admin AND role:member OR @', true],
    ['@ or @ and !', true],
    ['(@ or @) and !', false],
    ['not (role:admin or role:member)', false],
    ['not not @', true],
    ['rule:yes and not rule:no', true],
    ['rule:missing', false],
    ['project_id:p', true],
    ['tenant:p', true],
    ['project_name:Project', true],
    ['system_scope:all', false],
    ['is_admin_project:False', true],
    ["'p':%(project_id)s", true],
    ['True:%(node.owner)s', false],
    ['unheard_of:x', false],
    ['user_id:%(user_id)s', true],
  ]
  for (const [rule, expected] of cases) assert.equal(holds(rule), expected, rule)
})

test('owners and lessees', () => {
  const owns = 'project_id:%(node.owner)s'
  const leases = '(project_id:%(node.lessee)s)'
  assert.equal(holds(owns, member, nodeOf('p')), true)
  assert.equal(holds(owns, member, nodeOf('other')), false)
  assert.equal(holds(owns, member, nodeOf(null)), false)
  assert.equal(holds(owns, member, null), false)
  assert.equal(holds(leases, member, nodeOf('other', 'p')), true)
  assert.equal(holds(owns, member, { of: 'allocation', owner: 'p' }), false)
  assert.equal(holds('project_id:%(allocation.owner)s', member, { of: 'allocation', owner: 'p' }), true)
  // A caller without a project does not own what nobody owns.
  assert.equal(holds(owns, system, nodeOf(null)), false)
})

test('what is no rule', () => {
  for (const text of ['role', 'role:a role:b', '(role:a', 'role:a)', 'and', 'role:a or', 'not', ':x', 'http://x']) {
    assert.throws(() => parseRule(text), NoRule, text)
  }
})

test('a file replaces rules, in YAML and JSON, and in the older form', () => {
  for (const text of [
    '# ours\n"baremetal:node:get": "role:viewer"\n',
    '{"baremetal:node:get": "role:viewer"}',
    '{"baremetal:node:get": [["role:viewer"]]}',
    'viewer: role:viewer\nbaremetal:node:get: rule:viewer',
  ]) {
    const { rules, warnings } = readRules([{ path: 'policy.yaml', text: text }])
    const check = rules.get('baremetal:node:get')?.check
    const facts = { target: null, serviceProject: null, rule: (name: string) => rules.get(name)?.check }
    assert.equal(check?.({ ...facts, identity: { ...nobody, roles: ['viewer'] } }), true, text)
    assert.equal(check?.({ ...facts, identity: { ...nobody, roles: ['admin'], system: true } }), false, text)
    assert.deepEqual(warnings, [])
  }
  assert.equal(readRules([{ path: 'policy.yaml', text: '' }]).rules.has('baremetal:node:get'), true)
})

test('the example of the guide can be used as it stands', async () => {
  const guide = await readFile(new URL('../../../docs/authentication.md', import.meta.url), 'utf8')
  const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(guide) ?? []
  assert.match(example, /baremetal:node:history:get/)
  assert.deepEqual(readRules([{ path: 'policy.yaml', text: example }]).warnings, [])
})

test('a file that cannot be used names policy and text', () => {
  const cases: [text: string, expected: RegExp][] = [
    ['baremetal:node:get: role:a or', /policy\.yaml: rule of baremetal:node:get, "role:a or": found the end/],
    ['baremetal:node:get: 12', /found 12, expected a rule as text/],
    ['baremetal:node:get: rule:none', /baremetal:node:get asks rule:none, which does not exist/],
    ['a: rule:b\nb: rule:a', /in a circle: a → b → a/],
    ['- a\n- b', /expected names of policies/],
    ['a: "x', /Cannot read the policy file policy\.yaml: .*line 1/],
  ]
  for (const [text, expected] of cases)
    assert.throws(() => readRules([{ path: 'policy.yaml', text: text }]), expected, text)
})

test('a rule for a policy that does not exist is told, one for a step is not', () => {
  const text = 'baremetal:node:gett: "@"\nbaremetal:step:execute:raid.delete_configuration: role:admin'
  assert.deepEqual(readRules([{ path: 'policy.yaml', text: text }]).warnings, [
    'policy.yaml: there is no policy baremetal:node:gett, its rule has no effect; did you mean baremetal:node:get?',
  ])
})
