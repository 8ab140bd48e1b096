/** What a cold `ferrite node list` loads: few modules, and no library. How long that takes: bench/cli-start.ts. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const src = join(import.meta.dirname, '..')
const statement = /^(?:import|export)\s+(?!type\b)[^;'"]*?from\s+'([^']+)'/gm

/** All that the modules load at once, themselves included; packages by name. What is imported later does not count. */
function loadedBy(...modules: string[]): Set<string> {
  const found = new Set<string>()
  const queue = modules.map(path => join(src, path))
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (found.has(path)) continue
    found.add(path)
    for (const [, name = ''] of readFileSync(path, 'utf8').matchAll(statement)) {
      if (name.startsWith('.')) queue.push(join(dirname(path), name))
      else if (name.startsWith('#')) queue.push(join(src, name.slice(1)))
      else if (!name.startsWith('node:')) found.add(name)
    }
  }
  return found
}

test('node list loads no library, and few modules', () => {
  const loaded = [...loadedBy('main.ts', 'cli/main.ts', 'cli/node.ts')]
  assert.ok(loaded.includes(join(src, 'cli/resource.ts')), 'imports are followed')
  assert.deepEqual(
    loaded.filter(name => !name.startsWith(src)),
    [],
  )
  assert.ok(loaded.length <= 30, `${loaded.length} modules: ${loaded.join(' ')}`)
})

test('the fields of the API bring a library, so this test would see one', () => {
  assert.ok(loadedBy('protocol/node.ts').has('typebox'))
})
