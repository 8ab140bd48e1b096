import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Output } from './command.ts'
import { type Format, print, spell } from './output.ts'
import { testTerminal } from './test-terminal.ts'

async function printed(output: Output, format: Format = {}, given: Parameters<typeof testTerminal>[0] = {}) {
  const terminal = testTerminal(given)
  await print(output, format, terminal)
  return terminal.takeOut()
}

const spelled: [value: unknown, text: string][] = [
  ['text', 'text'],
  [null, 'None'],
  [true, 'True'],
  [7, '7'],
  [['a', null, false], "['a', None, False]"],
  [{ a: { b: "it's" } }, `{'a': {'b': "it's"}}`],
  [[`both ' and "`], `['both \\' and "']`],
  [['line\nbreak\ttab\\'], "['line\\nbreak\\ttab\\\\']"],
  [{}, '{}'],
]
for (const [value, text] of spelled) {
  test(`spells ${JSON.stringify(value)} as Python does`, () => assert.equal(spell(value), text))
}

const list = (items: Record<string, unknown>[], columns = Object.keys(items[0] ?? {})): Output => ({
  kind: 'list',
  columns,
  items,
})

test('numbers stand right, by the first row; missing fields are empty', async () => {
  const table = await printed(list([{ n: 5, t: 'a' }, { n: 1000 }], ['n', 't']))
  assert.equal(table, '+------+---+\n|    n | t |\n+------+---+\n|    5 | a |\n| 1000 |   |\n+------+---+\n')
})

test('a cell of several lines makes a higher row', async () => {
  assert.equal(
    await printed({ kind: 'one', item: { a: 'x\ny' } }),
    '+-------+-------+\n| Field | Value |\n+-------+-------+\n| a     | x     |\n|       | y     |\n+-------+-------+\n',
  )
})

test('control characters from a machine do not reach the terminal', async () => {
  const out = await printed({ kind: 'one', item: { last_error: 'bad \x1b[31mred\x07' } })
  assert.match(out, /bad \\x1b\[31mred\\x07/)
  assert.doesNotMatch(out, /\x1b/)
})

test('wide characters count as two columns', async () => {
  const lines = (await printed(list([{ a: '機器' }, { a: 'abcd' }]))).split('\n')
  assert.deepEqual(lines.slice(3, 5), ['| 機器 |', '| abcd |'])
})

test('on a terminal a table fits its width', async () => {
  const items = [{ name: 'a', text: 'one two three four five six seven eight nine ten' }]
  const lines = (await printed(list(items), {}, { tty: { columns: 30 } })).trimEnd().split('\n')
  assert.ok(
    lines.every(line => line.length <= 30),
    lines.join('\n'),
  )
  assert.match(lines.join(' '), /one two three .* nine ten/)
})

test('sorts by columns, unset values last', async () => {
  const items = [{ a: 2 }, { a: null }, { a: 10 }]
  assert.equal(await printed(list(items), { format: 'value', 'sort-column': ['A'] }), '2\n10\nNone\n')
  assert.equal(
    await printed(list(items.slice(0, 1).concat(items[2] ?? { a: 0 })), {
      format: 'value',
      'sort-column': ['a'],
      'sort-descending': true,
    }),
    '10\n2\n',
  )
})

test('csv quotes as asked', async () => {
  const output = list([{ a: 'x"y', b: 5, c: null }])
  assert.equal(await printed(output, { format: 'csv' }), '"a","b","c"\n"x""y",5,""\n')
  assert.equal(await printed(output, { format: 'csv', quote: 'minimal' }), 'a,b,c\n"x""y",5,\n')
  assert.equal(await printed(output, { format: 'csv', quote: 'all' }), '"a","b","c"\n"x""y","5",""\n')
})

test('shell variables have valid names', async () => {
  const output: Output = { kind: 'one', item: { 'a b:c-d': 'say "hi"' } }
  assert.equal(await printed(output, { format: 'shell' }), 'a_b_c_d="say \\"hi\\""\n')
})
