/** The table of docs/agent-tests.md says which test runs each command and step: it has them all, and the tests exist. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { StepKind } from '#protocol/agent.ts'
import { otherExtensions } from './extensions/others.ts'
import { standbyCommands } from './extensions/standby.ts'
import { stepCommands } from './extensions/steps.ts'
import { containerManager } from './hardware/containers.ts'
import { selectHardware } from './hardware/dispatch.ts'
import { genericManager } from './hardware/generic.ts'
import { testContext } from './hardware/test-run.ts'

const root = join(import.meta.dirname, '../..')
const kinds: readonly StepKind[] = ['clean', 'deploy', 'service']

interface Row {
  names: string[]
  file: string
  title: string
}

/** Rows of the tables: names in the first cell, or none for those of the row above; file and title in the last. */
const rows: Row[] = readFileSync(join(root, 'docs/agent-tests.md'), 'utf8')
  .split('\n')
  .filter(line => /^\|.*`: /.test(line))
  .map(line => {
    const cells = line.split('|').slice(1, -1)
    const [, file = '', title = ''] = /^ `([^`]+)`: (.*) $/.exec(cells.at(-1) ?? '') ?? []
    return { names: [...(cells[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name), file, title }
  })

test('every command and every step has its place in the table, and nothing else has', async () => {
  const context = testContext({ devices: [], stateDir: '/nonexistent' })
  const manager = genericManager(context)
  const hardware = await selectHardware(context, [manager])
  const extensions = {
    ...Object.fromEntries(kinds.map(kind => [kind, stepCommands(kind, hardware)])),
    standby: standbyCommands(hardware),
    ...otherExtensions({ hardware, stopServing: async () => {}, runNested: async () => null }),
  }
  const commands = Object.entries(extensions).flatMap(([extension, known]) =>
    Object.keys(known).map(name => `${extension}.${name}`),
  )
  const steps = [...manager.steps, ...containerManager().steps].map(step => `${step.interface}.${step.step}`)
  const named = rows.flatMap(({ names }) => names)
  assert.deepEqual(named.toSorted(), [...commands, ...steps].toSorted())
})

for (const { file, title } of new Set(rows)) {
  test(`${file} has: ${title}`, () => {
    assert.ok(existsSync(join(root, file)), `docs/agent-tests.md names ${file}, which is not there`)
    assert.ok(title !== '' && readFileSync(join(root, file), 'utf8').includes(title))
  })
}
