/**
 * The commands against those of the baremetal client (baremetal-commands.txt), both ways: names, arguments, options and
 * what they take. Whatever we have on top, or do otherwise, is named here with its reason.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { AnyCommand, Option } from './command.ts'
import { globalOptions } from './global-options.ts'
import { aliases, commandsUnder, findCommand } from './groups.ts'

interface Shape {
  shows: string
  args: string[]
  /** With what each takes. */
  options: Map<string, string>
}

const lines = readFileSync(new URL('./baremetal-commands.txt', import.meta.url), 'utf8').split('\n')
const reference = new Map<string, Shape>()
for (const line of lines) {
  const [, name, rest] = /^([a-z ]+): (.+)$/.exec(line) ?? []
  if (name === undefined || rest === undefined) continue
  const [shows = '', ...words] = rest.split(' ')
  const options = words.flatMap(word => /^--([\w-]+)(.*)$/.exec(word)?.slice(1) ?? [])
  reference.set(name, {
    shows,
    args: words.filter(word => word.startsWith('ARG')),
    options: new Map(options.flatMap((option, at) => (at % 2 === 0 ? [[option, options[at + 1] ?? '']] : []))),
  })
}

/** Commands that only we have. */
const ownCommands = [
  'apply',
  'import ironic',
  'export ironic',
  'event list',
  'event watch',
  'node history',
  'node console attach',
  'node console view',
  'node logs',
  'node timeline',
  'node unlock',
  'node vmedia list',
  'node vmedia attach',
  'node vmedia detach',
  'node watch',
  'node why',
  'node plan deploy',
  'node plan rebuild',
  'node plan undeploy',
  'node plan clean',
  'node plan provide',
  'node plan inspect',
  'node plan service',
  'node plan rescue',
  'node plan unrescue',
  'node plan manage',
  'node plan adopt',
  'node indicator list',
  'node indicator show',
  'node indicator set',
]

/** Options that only we have: the API takes these fields or parameters, and the baremetal client leaves them out. */
const ownOptions: Readonly<Record<string, readonly string[]>> = {
  'node create': ['instance-info', 'instance-uuid', 'retired', 'retired-reason'],
  'port create': ['available-for-dynamic-portgroup'],
  'port set': ['available-for-dynamic-portgroup'],
  'port list': ['shards'],
  'inspection rule set': ['sensitive'],
}

/** Verbs that are also for nodes chosen by filters, a few at a time. */
const bulkVerbs = new Set(
  [
    'manage',
    'inspect',
    'provide',
    'clean',
    'deploy',
    'rebuild',
    'undeploy',
    'abort',
    'adopt',
    'rescue',
    'unrescue',
    'service',
    'unhold',
  ].map(verb => `node ${verb}`),
)
const bulkOptions = ['all', 'where', 'canary', 'wave']

/** What is otherwise, and why that is better. */
const otherwise: Readonly<Record<string, string>> = {
  'node children list shows list': 'theirs shows one object whose columns and values do not fit together',
  'node passthru call shows one': "theirs prints Python's spelling of the answer; so -f json is possible",
  'runbook create --disable-ramdisk takes =?': 'as runbook set has it; a bare switch works too',
}

const takes: Readonly<Record<Option['takes'], string>> = {
  nothing: '',
  text: '=',
  number: '=',
  repeat: '=*',
  words: '=+',
  'number?': '=?',
  'yes?': '=?',
}

async function commandOf(name: string): Promise<AnyCommand> {
  const found = await findCommand(name.split(' '))
  assert.ok(found && (found.name === name || aliases[name] === found.name), `there is no command ${name}`)
  return found.command
}

test('the reference is whole', () => assert.equal(reference.size, 118))

test('their commands are ours, and ours theirs or named as our own', async () => {
  const ours = [...(await commandsUnder([])).map(([name]) => name), ...Object.keys(aliases)]
  assert.deepEqual(ours.toSorted(), [...reference.keys(), ...ownCommands].toSorted())
})

const unused = new Set(Object.keys(otherwise))
const agree = (what: string, ours: string, theirs: string) => {
  const difference = `${what} ${ours}`
  if (ours !== theirs && Object.hasOwn(otherwise, difference)) unused.delete(difference)
  else assert.equal(ours, theirs, what)
}

for (const [name, theirs] of reference) {
  test(name, async () => {
    const { args, options, shows } = await commandOf(name)
    agree(`${name} shows`, shows ?? '-', theirs.shows)
    const ours = Object.values(args).map(({ many, optional }) => `ARG${many ? (optional ? '*' : '+') : ''}`)
    // Without names they want a filter instead.
    assert.deepEqual(bulkVerbs.has(name) ? ours.map(arg => arg.replace('*', '+')) : ours, theirs.args)
    const isBulk = (option: string) => bulkVerbs.has(name) && bulkOptions.includes(option)
    const extra = Object.keys(options).filter(option => !theirs.options.has(option) && !isBulk(option))
    assert.deepEqual(extra.toSorted(), ownOptions[name] ?? [], 'options that only we have')
    for (const [option, taken] of theirs.options) {
      const own = options[option]
      assert.ok(own, `${name} lacks --${option}`)
      agree(`${name} --${option} takes`, takes[own.takes] + (own.required ? '!' : ''), taken)
    }
  })
}

/** Options of all their commands that we lack, and why. */
const absent: Readonly<Record<string, string>> = {
  'collect-timing': 'nothing to do with the API',
  'log-file': 'the shell redirects',
  'tls-ciphers': 'what Node takes',
  'tls-min-version': 'what Node takes: TLS 1.2',
  'os-api-version': 'without effect there; os-baremetal-api-version is meant',
  'os-auth-plugin': 'an older spelling of os-auth-type',
  'endpoint-type': 'an older spelling of os-interface',
  'os-endpoint-type': 'an older spelling of os-interface',
  'http-timeout': 'an older spelling of timeout',
  'os-tenant-id': 'an older spelling of os-project-id',
  'os-tenant-name': 'an older spelling of os-project-name',
  'os-user-name': 'an older spelling of os-username',
}

test('the options of all their commands are ours, or named', () => {
  const [words = ''] = lines.flatMap(line => /^\* (.+)$/.exec(line)?.[1] ?? [])
  const theirs = words.split(' ').map(word => word.slice(2).replaceAll('_', '-'))
  const lacking = theirs.filter(name => !Object.hasOwn(globalOptions, name))
  assert.deepEqual(lacking.toSorted(), Object.keys(absent).toSorted())
  const more = Object.keys(globalOptions).filter(name => !theirs.includes(name))
  assert.deepEqual(more, ['endpoint'])
})

test('every named difference is one', () => assert.deepEqual([...unused], []))
