import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ensureHostPackages, HostPackagesMissing, missingPackages } from './host-packages.ts'

test('names what is not installed, once, in order', async () => {
  const missing = await missingPackages(['ferrite-no-such-b', 'dpkg', 'ferrite-no-such-a', 'ferrite-no-such-b'])
  assert.deepEqual(missing, ['ferrite-no-such-b', 'ferrite-no-such-a'])
})

test('says nothing and installs nothing when all is there', async () => {
  const lines: string[] = []
  await ensureHostPackages(['dpkg'], line => lines.push(line))
  assert.deepEqual(lines, [])
})

test('without root the error holds the command to run', { skip: process.getuid?.() !== 0 }, async () => {
  process.seteuid?.('nobody')
  try {
    await assert.rejects(
      ensureHostPackages(['ferrite-no-such'], () => {}),
      (error: unknown) => {
        assert.ok(error instanceof HostPackagesMissing)
        assert.match(error.message, /not root.*apt-get install --no-install-recommends ferrite-no-such$/)
        return true
      },
    )
  } finally {
    process.seteuid?.(0)
  }
})
