import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { allOptions } from './load.ts'

/** Options whose names the code puts together, such as `enabled_${type}_interfaces`, or that others stand on. */
const composed = [
  /^DEFAULT\.(enabled|default)_[a-z]+_interfaces?$/,
  /^fake\.(power|boot|deploy|management|inspect|rescue)_delay$/,
  /^conductor\.deploy_(kernel|ramdisk)(_by_arch)?$/,
  /^inspector\.default_hooks$/,
  /^redfish\.default_inspection_hooks$/,
]

test('an option is marked effective exactly when some code reads it', async () => {
  const code = await sourcesOutsideConfig()
  const unread: string[] = []
  const unmarked: string[] = []
  for (const [group, name, option] of allOptions()) {
    const key = `${group}.${name}`
    const named = composed.some(pattern => pattern.test(key)) || new RegExp(`\\b${name}\\b`).test(code)
    const readByGroup = new RegExp(`\\b${group}\\.${name}\\b`).test(code)
    if (option.effective && !named) unread.push(key)
    if (!option.effective && readByGroup) unmarked.push(key)
  }
  const where = 'in src/config/options/, then run: ./ferrite config reference --format markdown > docs/configuration.md'
  assert.deepEqual(unread, [], `no code reads these: take "effective: true" away ${where}`)
  assert.deepEqual(unmarked, [], `code reads these: add "effective: true" ${where}`)
})

/** The code of the service, without its tests; [ferrite] api_url is made here of options of other groups. */
async function sourcesOutsideConfig(): Promise<string> {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const names = await readdir(root, { recursive: true })
  const wanted = names.filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.startsWith('config/'))
  const texts = await Promise.all(
    [...wanted, 'config/options/ferrite.ts'].map(name => readFile(join(root, name), 'utf8')),
  )
  return texts.join('\n')
}
