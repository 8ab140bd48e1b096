/** The declarations against what they must agree with: the API's fields, the launcher's commands, and themselves. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Field } from '#protocol/field.ts'
import { nodeFields } from '#protocol/node.ts'
import { portFields } from '#protocol/port.ts'
import { completion } from './completion.ts'
import { help, serviceCommands } from './help.ts'
import { globalOptions, groups } from './main.ts'
import { nodeResource } from './node-resource.ts'
import { outputOptions } from './output.ts'
import { portResource } from './port.ts'
import type { Resource } from './resource.ts'

/** Fields that the API lets one set but the baremetal client has no option for. */
const withoutOption: Record<string, readonly string[]> = {
  node: ['boot_mode', 'secure_boot', 'console_enabled', 'maintenance'],
  port: ['available_for_dynamic_portgroup'],
}

const resources: [resource: Resource, fields: Record<string, Field>, arguments_: readonly string[]][] = [
  [nodeResource, nodeFields, []],
  [portResource, portFields, ['address']],
]

for (const [resource, fields, positional] of resources) {
  test(`${resource.name}: what the API lets one set has an option, and the other way round`, () => {
    const settable = (way: 'create' | 'patch') =>
      Object.keys(fields).filter(name => fields[name]?.[way] && !withoutOption[resource.name]?.includes(name))
    const offered = (verb: 'create' | 'set') =>
      resource.settings.filter(({ on }) => on?.includes(verb) ?? true).map(({ field }) => field)
    for (const field of settable('patch')) assert.ok(offered('set').includes(field), `set lacks ${field}`)
    for (const field of offered('set')) assert.ok(settable('patch').includes(field), `set has ${field}`)
    for (const field of offered('create')) assert.ok(settable('create').includes(field), `create has ${field}`)
    for (const field of positional) assert.ok(settable('create').includes(field), `create takes ${field}`)
  })

  test(`${resource.name}: columns are fields`, () => {
    for (const name of [...resource.columns, ...resource.longColumns]) assert.ok(fields[name], name)
  })
}

test('every command has help, in lines that fit', async () => {
  for (const [group, { load }] of Object.entries(groups)) {
    for (const verb of Object.keys((await load()).commands)) {
      const text = await help(`${group} ${verb}`.split(' '))
      assert.match(text, new RegExp(`^Usage: ferrite ${group} ${verb}`))
      assert.ok(
        text.split('\n').every(line => line.length <= 100),
        text,
      )
    }
  }
})

test('no option of a command hides a global or output option', async () => {
  for (const [group, { load }] of Object.entries(groups)) {
    for (const [verb, command] of Object.entries((await load()).commands)) {
      const taken = { ...globalOptions, ...(command.shows && outputOptions[command.shows]) }
      for (const name of Object.keys(command.options)) assert.ok(!(name in taken), `${group} ${verb} --${name}`)
    }
  }
})

test("the help names the launcher's own commands", () => {
  const launcher = readFileSync(new URL('../main.ts', import.meta.url), 'utf8')
  const local = [...launcher.matchAll(/^ {2}'?([\w-]+)'?: \(\) => import/gm)].map(([, name]) => name)
  assert.deepEqual(Object.keys(serviceCommands).toSorted(), local.toSorted())
})

test('bash completes from the script alone', async () => {
  const { execFileSync } = await import('node:child_process')
  const script = await completion('bash')
  const complete = (line: string) => {
    const words = line.split(' ')
    const list = words.map(word => `'${word}'`).join(' ')
    const ask = `COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _ferrite; echo "\${COMPREPLY[@]}"`
    return execFileSync('bash', ['-c', `${script}\n${ask}`], { encoding: 'utf8' }).trim()
  }
  assert.equal(complete('ferrite cond'), 'conductor')
  assert.equal(complete('ferrite node po'), 'power')
  assert.equal(complete('ferrite node power '), 'on off')
  assert.equal(complete('ferrite node deploy n1 --conf'), '--config-drive')
  assert.equal(complete('ferrite node list --prov'), '--provision-state')
})
