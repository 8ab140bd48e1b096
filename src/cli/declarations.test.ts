/** The declarations against what they must agree with: the API's fields, the launcher's commands, and themselves. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { loaded } from './command.ts'
import { globalOptions } from './global-options.ts'
import { aliases, commandsUnder, findCommand, groups, nameOf } from './groups.ts'
import { help, serviceCommands } from './help.ts'
import { outputOptions } from './output.ts'
import type { Resource } from './resource.ts'
import { settingsOf } from './settings.ts'

const resources: Resource[] = []
for (const file of globSync('*.ts', { cwd: import.meta.dirname })) {
  if (
    file.endsWith('.test.ts') ||
    !/^export const resource: Resource/m.test(readFileSync(new URL(file, import.meta.url), 'utf8'))
  )
    continue
  const { resource }: { resource: Resource } = await import(new URL(file, import.meta.url).href)
  resources.push(resource)
}

/** Columns that the API computes for a resource without declared fields. */
const conductorColumns = ['hostname', 'conductor_group', 'alive', 'drivers', 'created_at', 'updated_at']

test('there is a resource in eleven files', () => assert.equal(resources.length, 11))

for (const resource of resources) {
  test(`${resource.name}: columns are fields`, async () => {
    const known = resource.name === 'conductor' ? conductorColumns : Object.keys(await resource.fields())
    for (const name of [...resource.columns, ...resource.longColumns]) assert.ok(known.includes(name), name)
  })

  test(`${resource.name}: differences and further options are of fields, and none is given twice`, async () => {
    const fields = await resource.fields()
    for (const name of Object.keys(resource.differences ?? {})) assert.ok(fields[name], name)
    for (const verb of ['create', 'set', 'unset'] as const) {
      const options = (await settingsOf(resource)).filter(({ on }) => on.includes(verb)).map(({ option }) => option)
      assert.deepEqual(options, [...new Set(options)], verb)
    }
    const beyond = resource.name === 'allocation' ? ['node'] : []
    for (const { field } of resource.more ?? []) assert.ok(fields[field] || beyond.includes(field), field)
  })

  test(`${resource.name}: every option says what it is`, async () => {
    const silent = (await settingsOf(resource)).filter(({ about, field }) => about === field)
    assert.deepEqual(silent, [])
  })

  test(`${resource.name}: an option does what the API allows`, async () => {
    const fields = await resource.fields()
    for (const { option, field, on } of await settingsOf(resource)) {
      if (field === 'node' && resource.name === 'allocation') continue
      if (on.includes('create')) assert.ok(fields[field]?.create, `create --${option}`)
      if (on.includes('set')) assert.ok(fields[field]?.patch, `set --${option}`)
    }
  })
}

test('every command has help, in lines that fit', async () => {
  for (const [name] of await commandsUnder([])) {
    const text = await help(name.split(' '))
    assert.match(text, new RegExp(`^Usage: ferrite ${name}`))
    const long = text.split('\n').filter(line => line.length > 100)
    assert.deepEqual(long, [])
  }
})

test('every group has help', async () => {
  for (const group of Object.keys(groups)) assert.match(await help(group.split(' ')), /^(Commands of|Usage:) ferrite /)
})

test('no option of a command hides a global or output option', async () => {
  for (const [group, { load }] of Object.entries(groups)) {
    for (const [verb, later] of Object.entries(await load())) {
      const command = await loaded(later)
      const taken = { ...globalOptions, ...(command.shows && outputOptions[command.shows]) }
      for (const name of Object.keys(command.options)) assert.ok(!(name in taken), `${nameOf(group, verb)} --${name}`)
    }
  }
})

test('an older spelling is the same command', async () => {
  for (const [spelling, name] of Object.entries(aliases)) {
    assert.equal((await findCommand(spelling.split(' ')))?.name, name)
  }
})

test("the help names the launcher's own commands", () => {
  const launcher = readFileSync(new URL('../main.ts', import.meta.url), 'utf8')
  const local = [...launcher.matchAll(/^ {2}'?([\w-]+)'?: \(\) => import/gm)].map(([, name]) => name)
  assert.deepEqual(Object.keys(serviceCommands).toSorted(), local.toSorted())
})

test('every command is run against the real API by a test of its name', async () => {
  const tests = [
    'node.test.ts',
    'node-console.test.ts',
    'resources.test.ts',
    'move/move.test.ts',
    'apply/apply.test.ts',
  ].map(file => readFileSync(new URL(file, import.meta.url), 'utf8'))
  const names = new Set(
    tests.flatMap(text => [...text.matchAll(/^ *test\('([a-z ]+)/gm)].map(([, name]) => name?.trim())),
  )
  const commands = (await commandsUnder([])).map(([name]) => name)
  assert.deepEqual(
    commands.filter(name => !names.has(name)),
    [],
  )
})
