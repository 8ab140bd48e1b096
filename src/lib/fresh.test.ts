import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInput } from './fault.ts'
import { openFresh } from './fresh.ts'
import { type Log, silent } from './log.ts'

test('what could not be read for a moment is read at the next look, and is reported once', async () => {
  const errors: string[] = []
  const log: Log = { ...silent, error: (_, message) => void errors.push(message) }
  const source = { version: '1', broken: false }
  const fresh = await openFresh({
    noun: 'the file',
    version: async () => source.version,
    async load() {
      if (source.broken) throw new InvalidInput('Cannot read the file: too many open files')
      return source.version
    },
    log,
    freshForMs: 0,
  })
  assert.equal(await fresh.read(), '1')
  Object.assign(source, { version: '2', broken: true })
  for (let looks = 0; looks < 3; looks += 1) assert.equal(await fresh.read(), '1')
  assert.deepEqual(errors, ['Cannot read the file: too many open files; what was read before stays in force'])
  source.broken = false
  assert.equal(await fresh.read(), '2')
  Object.assign(source, { version: '3', broken: true })
  await fresh.read()
  assert.equal(errors.length, 2)
})
