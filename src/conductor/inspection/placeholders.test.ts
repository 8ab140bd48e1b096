/** Placeholders as Python fills them in, and texts that are none: whatever is written, nothing breaks and nothing leaks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fill, fillOrNull, type Scope, secretFields } from './placeholders.ts'
import { pythonText } from './python-text.ts'

const scope: Scope = {
  node: { name: 'n', extra: { a: [1, { b: 'deep' }] }, driver_info: { password: 'of the node' } },
  inventory: { cpu: { count: 8, flags: ['a', 'b'] }, text: 'abc', none: null, password: 'hidden one' },
  plugin_data: { flag: true, inner: { auth_token: 'hidden two', kept: 1 } },
  item: { name: 'it' },
  hidden: secretFields,
}

const filled: [template: unknown, becomes: unknown][] = [
  ['{node.name}-{item[name]}', 'n-it'],
  ['{node.extra[a][1][b]}', 'deep'],
  ['{inventory[cpu]}', "{'count': 8, 'flags': ['a', 'b']}"],
  ['{inventory[text][1]}', 'b'],
  ['{inventory[none]} {plugin_data[flag]}', 'None True'],
  ['{{literally}} {node.name}', '{literally} n'],
  [
    '{inventory[cpu][count]:04d}|{inventory[cpu][count]:<3}|{inventory[text]:^7}|{inventory[text]:.2}',
    '0008|8  |  abc  |ab',
  ],
  ['{inventory[cpu][count]:x} {inventory[cpu][count]:.1f} {inventory[text]!r}', "8 8.0 'abc'"],
  ['{inventory[password]} {plugin_data[inner]}', "*** {'auth_token': '***', 'kept': 1}"],
  [{ '{node.name}': ['{item[name]}', 3, null] }, { n: ['it', 3, null] }],
  // What cannot be filled in stays, whole.
  ['{node.name} {inventory[missing]}', '{node.name} {inventory[missing]}'],
  ['{inventory[cpu][flags][9]}', '{inventory[cpu][flags][9]}'],
  ['{inventory[text]:d}', '{inventory[text]:d}'],
  ['{inventory[cpu][count]:q}', '{inventory[cpu][count]:q}'],
  ['{0} {} {', '{0} {} {'],
  ['{plugin_data[__proto__]}', '{plugin_data[__proto__]}'],
  ['{plugin_data[constructor]}', '{plugin_data[constructor]}'],
]

test('placeholders become what Python makes of them', () => {
  for (const [template, becomes] of filled) assert.deepEqual(fill(template, scope), becomes, JSON.stringify(template))
})

test('who asks whether something is there is given the value, or null', () => {
  const asked = (template: unknown) => fillOrNull(template, scope)
  assert.deepEqual(asked('{inventory[cpu][flags]}'), ['a', 'b'])
  assert.equal(asked('{inventory[none]}'), null)
  assert.equal(asked('{inventory[missing][more]}'), null)
  assert.equal(asked('x {inventory[missing]}'), null)
  assert.equal(asked('{inventory[text][more]}'), '{inventory[text][more]}')
  assert.equal(asked(7), 7)
})

test('texts print as Python prints them', () => {
  assert.equal(
    pythonText(["it's", 'a "b"', `'"`, null, true, { a: 1.5 }]),
    `["it's", 'a "b"', '\\'"', None, True, {'a': 1.5}]`,
  )
})

test('no template breaks, and no secret of what a machine told gets out', () => {
  const part = fc.constantFrom(
    ...'{}[].:!',
    'node',
    'inventory',
    'plugin_data',
    'item',
    'password',
    'inner',
    'name',
    'r',
    '0',
    '>9',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(part, { maxLength: 12 }).map(parts => parts.join('')),
        fc.string(),
      ),
      template => {
        const text = pythonText(fill(template, scope)) + pythonText(fillOrNull(template, scope))
        assert.doesNotMatch(text, /hidden (one|two)/)
      },
    ),
    { numRuns: 3000 },
  )
})
