import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AnyCommand, command, type Options } from './command.ts'
import { parse, parseLeading, UsageError } from './parse.ts'

const options = {
  name: { takes: 'text', about: '' },
  'name-prefix': { takes: 'text', about: '' },
  limit: { takes: 'number', about: '' },
  extra: { takes: 'repeat', about: '' },
  fields: { takes: 'words', about: '', group: 'columns' },
  long: { takes: 'nothing', about: '', group: 'columns' },
  wait: { takes: 'number?', about: '' },
  public: { takes: 'yes?', about: '' },
  'boot-index': { takes: 'number', least: 0, about: '' },
  format: { takes: 'text', short: 'f', choices: ['json', 'table'], about: '' },
} satisfies Options

function declare(args: AnyCommand['args']): AnyCommand {
  return command({ about: '', args, options, run: async () => undefined })
}

const none = declare({})
const nodesAndDevice = declare({ nodes: { many: true, about: '' }, device: { about: '' } })
const nodeAndTraits = declare({ node: { about: '' }, traits: { many: true, optional: true, about: '' } })

const good: { line: string; of?: AnyCommand; args?: object; options?: object }[] = [
  { line: '', options: {} },
  { line: '--name a --name b', options: { name: 'b' } },
  { line: '--name=a=b', options: { name: 'a=b' } },
  { line: '--name -', options: { name: '-' } },
  { line: '--name-p x', options: { 'name-prefix': 'x' } },
  { line: '--lim -5', options: { limit: -5 } },
  { line: '--extra a=1 --extra b=--x', options: { extra: ['a=1', 'b=--x'] } },
  { line: '--fields a b --fields c', options: { fields: ['a', 'b', 'c'] } },
  { line: '--fields=a', options: { fields: ['a'] } },
  { line: '--wait', options: { wait: null } },
  { line: '--public', options: { public: true } },
  { line: '--public false', options: { public: false } },
  { line: '--public=0', options: { public: false } },
  { line: '--public n1', of: nodeAndTraits, args: { node: 'n1', traits: [] }, options: { public: true } },
  { line: '--name_prefix x', options: { 'name-prefix': 'x' } },
  { line: '--wait 60', options: { wait: 60 } },
  { line: '--wait=60', options: { wait: 60 } },
  { line: '-f json', options: { format: 'json' } },
  { line: '-fjson', options: { format: 'json' } },
  { line: 'a b c pxe', of: nodesAndDevice, args: { nodes: ['a', 'b', 'c'], device: 'pxe' } },
  { line: 'a --wait pxe', of: nodesAndDevice, args: { nodes: ['a'], device: 'pxe' }, options: { wait: null } },
  { line: '--wait 5 a pxe', of: nodesAndDevice, args: { nodes: ['a'], device: 'pxe' }, options: { wait: 5 } },
  { line: '-- --a --b', of: nodesAndDevice, args: { nodes: ['--a'], device: '--b' } },
  { line: 'n', of: nodeAndTraits, args: { node: 'n', traits: [] } },
  { line: 'n t u', of: nodeAndTraits, args: { node: 'n', traits: ['t', 'u'] } },
]

for (const { line, of = none, args = {}, options = {} } of good) {
  test(`reads "${line}"`, () => {
    assert.deepEqual(parse(of, line.split(' ').filter(Boolean)), { args, options })
  })
}

const bad: { line: string; of?: AnyCommand; says: RegExp }[] = [
  { line: '--nam x', says: /--nam is ambiguous: it could be --name, --name-prefix/ },
  { line: '--limt 5', says: /Unknown option --limt: did you mean --limit\?/ },
  { line: '-x', says: /Unknown option -x/ },
  { line: '--name', says: /--name needs a value/ },
  { line: '--name --long', says: /--name needs a value/ },
  { line: '--fields', says: /--fields needs a value/ },
  { line: '--long=yes', says: /--long takes no value, found "yes"/ },
  { line: '--limit many', says: /--limit needs a whole number, found "many"/ },
  { line: '--boot-index -1', says: /--boot-index needs 0 or more, found -1/ },
  { line: '--wait=soon', says: /--wait needs a whole number, found "soon"/ },
  { line: '-f xml', says: /option -f: found "xml", expected one of json, table/ },
  { line: '--long --fields a', says: /--long and --fields exclude each other/ },
  { line: 'a', says: /Unexpected argument "a"/ },
  { line: 'pxe', of: nodesAndDevice, says: /Missing argument <device>/ },
]

for (const { line, of = none, says } of bad) {
  test(`refuses "${line}"`, () => {
    assert.throws(
      () => parse(of, line.split(' ')),
      (error: unknown) => error instanceof UsageError && says.test(error.message),
    )
  })
}

test('a required option must be there', () => {
  const it = command({
    about: '',
    args: {},
    options: { driver: { takes: 'text', required: true, about: '' } },
    run: async () => undefined,
  })
  assert.throws(() => parse(it, []), /--driver: it is required/)
})

test('global options may stand before the command', () => {
  assert.equal(parseLeading(['--name', 'x', '--long', 'node', 'list'], options).at, 3)
  assert.equal(parseLeading(['--name=x', 'node', '--long'], options).at, 1)
})
