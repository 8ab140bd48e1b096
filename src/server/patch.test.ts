import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { Fault } from '#lib/fault.ts'
import { fields, Json, Nullable } from '#protocol/field.ts'
import { applyPatch, JsonPatch, readPatch } from './patch.ts'

const table = fields({
  uuid: { schema: Type.String(), from: '1.1', column: 'text' },
  name: { schema: Nullable(Type.String({ minLength: 1 })), from: '1.5', patch: true, column: 'text' },
  driver: { schema: Type.String(), from: '1.1', patch: true, required: true, column: 'text' },
  extra: { schema: Json, from: '1.1', patch: true, column: 'json', initial: {} },
  flag: { schema: Type.Boolean(), from: '1.61', patch: true, column: 'flag', initial: false },
  steps: { schema: Type.Array(Type.String()), from: '1.1', patch: true, column: 'json', initial: [] },
})
const before = { uuid: 'u', name: 'n', driver: 'd', extra: { a: 1, o: { x: 1 } }, flag: true, steps: ['p', 'q'] }

function outcome(patch: Static<typeof JsonPatch>, minor = 115): Record<string, unknown> {
  return applyPatch(table, before, readPatch(table, patch, minor))
}

const works: [name: string, patch: JsonPatch, changed: Record<string, unknown>, minor?: number][] = [
  ['nothing', [], {}],
  ['add of a root', [{ op: 'add', path: '/name', value: 'm' }], { name: 'm' }],
  ['replace by the same value changes nothing', [{ op: 'replace', path: '/name', value: 'n' }], {}],
  ['remove of a root gives its default', [{ op: 'remove', path: '/extra' }], { extra: {} }],
  ['remove of a root without a default gives null', [{ op: 'remove', path: '/name' }], { name: null }],
  ['null is the default too', [{ op: 'add', path: '/extra', value: null }], { extra: {} }],
  ['add inside creates', [{ op: 'add', path: '/extra/b', value: 2 }], { extra: { a: 1, o: { x: 1 }, b: 2 } }],
  ['add inside overwrites', [{ op: 'add', path: '/extra/a', value: 2 }], { extra: { a: 2, o: { x: 1 } } }],
  ['replace inside', [{ op: 'replace', path: '/extra/o/x', value: 2 }], { extra: { a: 1, o: { x: 2 } } }],
  ['remove inside', [{ op: 'remove', path: '/extra/o' }], { extra: { a: 1 } }],
  [
    'one after the other',
    [
      { op: 'add', path: '/extra/n', value: {} },
      { op: 'add', path: '/extra/n/m', value: 1 },
      { op: 'remove', path: '/extra/a' },
    ],
    { extra: { o: { x: 1 }, n: { m: 1 } } },
  ],
  ['words for booleans', [{ op: 'add', path: '/flag', value: 'No' }], { flag: false }],
  ['list: at the end', [{ op: 'add', path: '/steps/-', value: 'r' }], { steps: ['p', 'q', 'r'] }],
  ['list: at a place', [{ op: 'add', path: '/steps/0', value: 'r' }], { steps: ['r', 'p', 'q'] }],
  ['list: replace', [{ op: 'replace', path: '/steps/1', value: 'r' }], { steps: ['p', 'r'] }],
  ['list: remove', [{ op: 'remove', path: '/steps/0' }], { steps: ['q'] }],
  ['remove of a too new field is not gated', [{ op: 'remove', path: '/flag' }], { flag: false }, 60],
  [
    'encoded characters, from 1.98',
    [{ op: 'add', path: '/extra/a~1b.c~0d', value: 1 }],
    { extra: { a: 1, o: { x: 1 }, 'a/b.c~d': 1 } },
    98,
  ],
]
for (const [name, patch, changed, minor] of works) test(name, () => assert.deepEqual(outcome(patch, minor), changed))

const fails: [name: string, patch: JsonPatch, status: number, minor?: number][] = [
  ['a field that may not be patched', [{ op: 'add', path: '/uuid', value: 'x' }], 400],
  ['an unknown field', [{ op: 'add', path: '/nope', value: 'x' }], 400],
  ['a name of the prototype', [{ op: 'add', path: '/constructor', value: 'x' }], 400],
  ['no value', [{ op: 'add', path: '/name' }], 400],
  ['a path without a slash', [{ op: 'add', path: 'name', value: 'x' }], 400],
  ['a dot in a path below 1.98', [{ op: 'add', path: '/extra/a.b', value: 'x' }], 400, 97],
  ['remove of a mandatory field', [{ op: 'remove', path: '/driver' }], 400],
  ['null for a mandatory field', [{ op: 'add', path: '/driver', value: null }], 400],
  ['a result that does not fit', [{ op: 'add', path: '/name', value: '' }], 400],
  ['a result of another type', [{ op: 'add', path: '/extra', value: [] }], 400],
  ['replace of a missing key', [{ op: 'replace', path: '/extra/zz', value: 1 }], 400],
  ['remove of a missing key', [{ op: 'remove', path: '/extra/zz' }], 400],
  ['add below a missing key', [{ op: 'add', path: '/extra/zz/y', value: 1 }], 400],
  ['add below a text', [{ op: 'add', path: '/name/y', value: 1 }], 400],
  ['a place outside the list', [{ op: 'add', path: '/steps/9', value: 'x' }], 400],
  ['a path that goes down too far', [{ op: 'add', path: `/extra/o${'/a'.repeat(32)}`, value: 1 }], 400],
  ['a field newer than the version', [{ op: 'add', path: '/flag', value: true }], 406, 60],
  [
    'not the first operation',
    [
      { op: 'add', path: '/extra/b', value: 1 },
      { op: 'replace', path: '/flag', value: true },
    ],
    406,
    60,
  ],
]
for (const [name, patch, status, minor] of fails) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => outcome(patch, minor),
      (error: unknown) => error instanceof Fault && error.status === status,
    )
  })
}

test('the object itself is never changed, and __proto__ is a key like any other', () => {
  const frozen = JSON.stringify(before)
  const changed = outcome([
    { op: 'add', path: '/extra/__proto__', value: { polluted: true } },
    { op: 'remove', path: '/steps/0' },
  ])
  assert.equal(JSON.stringify(before), frozen)
  assert.deepEqual(Object.keys(changed.extra as object), ['a', 'o', '__proto__'])
  assert.equal((changed.extra as { polluted?: boolean }).polluted, undefined)
})

test('patches put on top of each other do not make an object that is too deep to be shown', () => {
  const levels = (count: number) => JSON.parse('{"a":'.repeat(count) + 1 + '}'.repeat(count)) as unknown
  const patch = [0, 16, 32, 48].map(depth => ({
    op: 'add' as const,
    path: `/extra${'/a'.repeat(depth + 1)}`,
    value: levels(16),
  }))
  assert.ok(outcome(patch.slice(0, 2)))
  assert.throws(() => outcome(patch), /found a path of 33 levels|found a path of 49 levels/)
})

test('no field grows without end, patch by patch', () => {
  const text = 'x'.repeat(1024 * 1024)
  const patch = (keys: string[]) => keys.map(key => ({ op: 'add' as const, path: `/extra/${key}`, value: text }))
  assert.ok(outcome(patch(['b', 'c', 'd'])))
  assert.throws(() => outcome(patch(['b', 'c', 'd', 'e'])), /Cannot set extra: found 41943\d\d characters/)
  const long = { ...before, extra: { drive: 'x'.repeat(8 * 1024 * 1024), a: 1 } }
  const shorter = readPatch(table, [{ op: 'remove', path: '/extra/a' }], 115)
  assert.deepEqual(Object.keys(applyPatch(table, long, shorter)), ['extra'])
})

test('a path has four thousand characters at most', () => {
  const path = (length: number) => [{ op: 'add', path: `/extra/${'a'.repeat(length - 7)}`, value: 1 }]
  assert.deepEqual([Compile(JsonPatch).Check(path(4096)), Compile(JsonPatch).Check(path(4097))], [true, false])
})

test('a patch has a thousand operations at most', () => {
  const patch = (count: number) => Array.from({ length: count }, () => ({ op: 'add', path: '/extra/a', value: 1 }))
  const validator = Compile(JsonPatch)
  assert.deepEqual([validator.Check(patch(1000)), validator.Check(patch(1001))], [true, false])
})
