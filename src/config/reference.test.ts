import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import type { Option } from './kinds.ts'
import { allOptions, loadConfig, type Overrides } from './load.ts'
import { printConfig, referenceJson, referenceMarkdown, referenceText } from './reference.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ferrite-reference-'))
})
after(() => rm(dir, { recursive: true, force: true }))

test('docs/configuration.md is what the declarations say', async () => {
  const page = await readFile(join(root, 'docs/configuration.md'), 'utf8')
  assert.equal(page, referenceMarkdown(), 'run: ./ferrite config reference --format markdown > docs/configuration.md')
})

test('every option has help that is a sentence, and appears in each form of the reference', () => {
  const [text, markdown, json] = [referenceText(), referenceMarkdown(), JSON.parse(referenceJson())]
  let count = 0
  for (const [group, name, option] of allOptions()) {
    count += 1
    assert.match(option.help, /^[A-Za-z$"'[].*\.$/s, `[${group}] ${name}`)
    assert.ok(text.includes(`\n  ${name} = `), name)
    assert.ok(markdown.includes(`| \`${name}\` |`), name)
  }
  assert.equal(json.length, count)
})

test('former names lead to one option each and are no options themselves', () => {
  const names = new Set([...allOptions()].map(([group, name]) => `${group}.${name}`))
  const former = [...allOptions()].flatMap(([, , option]) => option.deprecatedNames ?? [])
  assert.equal(new Set(former).size, former.length)
  for (const name of former) assert.ok(!names.has(name), name)
})

test('a printed configuration reads back the same, whatever the values', async () => {
  const options = [...allOptions()].filter(([group]) => !['ferrite'].includes(group))
  const path = join(dir, 'printed.conf')
  await fc.assert(
    fc.asyncProperty(fc.subarray(options, { maxLength: 40 }).chain(valuesFor), async overrides => {
      let config: Awaited<ReturnType<typeof loadConfig>>
      try {
        config = await loadConfig({ overrides })
      } catch (error) {
        // Rules over several options may refuse what was drawn.
        fc.pre(
          !(
            error instanceof Error &&
            /expected (at most|more than|another port|image_server_user|both cert_file)/.test(error.message)
          ),
        )
        throw error
      }
      await writeFile(path, printConfig(config, { secrets: true }))
      assert.deepEqual(await loadConfig({ files: [path] }), config)
    }),
    { numRuns: 150 },
  )
})

test('secrets are not printed', async () => {
  const config = await loadConfig({
    overrides: { cifs: { password: 'hunter2' }, database: { connection: 'postgresql://u:hunter2@h/d' } },
  })
  assert.doesNotMatch(printConfig(config), /hunter2/)
})

test('the command: reference, check, show', async () => {
  const run = promisify(execFile)
  const entry = [join(root, 'src/main.ts'), 'config']
  const good = join(dir, 'good.conf')
  const bad = join(dir, 'bad.conf')
  await writeFile(good, '[deploy]\nfast_track = true\n[cifs]\npassword = hunter2\n')
  await writeFile(bad, '[deploy]\nfast_trak = true\n')

  const { stdout: json } = await run(process.execPath, [...entry, 'reference', '--format', 'json'])
  assert.ok(JSON.parse(json).length > 500)
  assert.match((await run(process.execPath, [...entry, 'check', '--config-file', good])).stdout, /can be used/)
  const { stdout } = await run(process.execPath, [...entry, 'show', '--config-file', good])
  assert.match(stdout, new RegExp(`# ${good} line 2\nfast_track = true`))
  assert.doesNotMatch(stdout, /hunter2/)
  await assert.rejects(
    run(process.execPath, [...entry, 'check', '--config-file', bad]),
    (error: { code: number; stderr: string }) => {
      assert.equal(error.code, 1)
      assert.match(error.stderr, /bad\.conf line 2, \[deploy\] fast_trak: .*did you mean fast_track/)
      return true
    },
  )
})

/** Values that the given options can hold, drawn by their kinds. */
function valuesFor(options: [string, string, Option][]): fc.Arbitrary<Overrides> {
  const drawn = options.map(([group, name, option]) => valueFor(option).map(value => [group, name, value] as const))
  return fc.tuple(...drawn).map(rows => {
    const overrides: Record<string, Record<string, unknown>> = {}
    for (const [group, name, value] of rows) {
      overrides[group] ??= {}
      overrides[group][name] = value
    }
    return overrides
  })
}

/** One line, as a file can hold it: no white space at its ends, nothing an operator could not type. */
const line = fc
  .string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 })
  .filter(text => text === text.trim() && text !== '<None>')
const item = line.filter(text => !(text.includes('"') && text.includes("'")) && !/[\\$]/.test(text))
const word = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,8}$/)

function valueFor(option: Option): fc.Arbitrary<unknown> {
  const make = (): fc.Arbitrary<unknown> => {
    switch (option.kind) {
      case 'integer':
        return fc.integer({ min: option.min ?? -1000, max: Math.min(option.max ?? 1e6, 1e6) })
      case 'port':
        return fc.integer({ min: 1, max: 65535 })
      case 'float':
        return fc.double({ min: option.min ?? 0, max: 1e6, noNaN: true })
      case 'octal':
        return fc.integer({ min: 0o100, max: 0o777 })
      case 'boolean':
        return fc.boolean()
      case 'choice':
        return fc.constantFrom(...(option.choices ?? []))
      case 'boolean or path':
        return fc.oneof(
          fc.boolean(),
          word.map(name => `/${name}`),
        )
      case 'path':
        return word.map(name => `/${name}`)
      case 'url':
        return word.map(name => `http://h/${name}`)
      case 'address':
        return option.expected.includes('IPv6 address') && !option.expected.includes('IPv4') ? fc.ipV6() : fc.ipV4()
      case 'host':
        return fc.domain()
      case 'list':
        return option.expected.startsWith('words') ? fc.array(item, { maxLength: 4 }) : fc.constant([])
      case 'texts':
        return fc.array(line, { maxLength: 3 })
      case 'dict':
        return fc.dictionary(word, item, { maxKeys: 3 })
      default:
        return option.expected === 'a text' ? line : fc.constant(option.nullable ? null : option.default)
    }
  }
  return option.nullable ? fc.oneof(fc.constant(null), make()) : make()
}
