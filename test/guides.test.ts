/** The guides against the code: pages that are made of it, commands that exist, links that lead somewhere. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { knownFaults, pages } from '../scripts/guides.ts'
import { globalOptions } from '../src/cli/global-options.ts'
import { findCommand } from '../src/cli/groups.ts'
import { serviceCommands } from '../src/cli/help.ts'
import { outputOptions } from '../src/cli/output.ts'
import { parse } from '../src/cli/parse.ts'
import { shellWords } from '../src/cli/test-client.ts'
import { commandsOf, fits, guides } from './guides/console-blocks.ts'

for (const [name, page] of Object.entries(pages)) {
  test(`docs/guide/${name} is what the code says`, () => {
    assert.equal(readFileSync(join(guides, name), 'utf8'), page(), 'run: node scripts/guides.ts')
  })
}

test('every fault says what it means', () => {
  const faults = knownFaults()
  assert.ok(faults.length > 60, String(faults.length))
  assert.ok(faults.some(({ code }) => code === 'node-locked'))
})

for (const guide of globSync('*.md', { cwd: guides })) {
  test(`commands of ${guide} exist`, async () => {
    for (const { line, command } of commandsOf(guide)) {
      const [program, ...words] = shellWords(command)
      assert.equal(program, 'ferrite', `${guide}:${line}`)
      if (Object.hasOwn(serviceCommands, words[0] ?? '')) continue
      const found = await findCommand(words)
      assert.ok(found, `${guide}:${line}: ${command}`)
      const { shows } = found.command
      const common = shows === undefined ? globalOptions : { ...globalOptions, ...outputOptions[shows] }
      assert.doesNotThrow(() => parse(found.command, words.slice(found.used), common), `${guide}:${line}: ${command}`)
    }
  })

  test(`links of ${guide} lead somewhere`, () => {
    for (const [, target = ''] of readFileSync(join(guides, guide), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      assert.ok(existsSync(join(dirname(join(guides, guide)), target)), `${guide}: ${target}`)
    }
  })
}

test('what a program prints is compared line by line', () => {
  assert.ok(fits('a\nb\nc\n', ['a', '…', 'c']))
  assert.ok(fits('', []))
  assert.ok(!fits('a\n', []))
  assert.ok(!fits('a\nb\n', ['a']))
})
