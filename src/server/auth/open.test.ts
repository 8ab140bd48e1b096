import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig, type Overrides } from '#config/load.ts'
import { systemClock } from '#lib/clock.ts'
import { type Log, silent } from '#lib/log.ts'
import { openAccess } from './open.ts'

async function warningsOf(overrides: Overrides): Promise<string[]> {
  const warnings: string[] = []
  const log: Log = { ...silent, warn: (_, message) => void warnings.push(message) }
  const config = await loadConfig({ overrides })
  const { auth } = await openAccess(config, { clock: systemClock, log, configFiles: [] })
  await auth.close?.()
  return warnings
}

test('who is not asked who they are is warned of, where others can reach the API', async () => {
  const [warning, ...more] = await warningsOf({})
  assert.match(warning ?? '', /reaches 0\.0\.0\.0:6385 may do everything.*auth_strategy/)
  assert.deepEqual(more, [])
  assert.equal((await warningsOf({ api: { host_ip: '192.0.2.1' } })).length, 1)
  assert.equal((await warningsOf({ api: { host_ip: '::' } })).length, 1)
  for (const host_ip of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) {
    assert.deepEqual(await warningsOf({ api: { host_ip } }), [], host_ip)
  }
  assert.deepEqual(await warningsOf({ api: { unix_socket: '/run/ferrite.sock' } }), [])
})

test('what a strategy needs is named when it is missing', async () => {
  const file = { auth_strategy: 'http_basic', http_basic_auth_user_file: '/nonexistent/htpasswd' } as const
  await assert.rejects(warningsOf({ DEFAULT: file }), /file of users.*\/nonexistent\/htpasswd/)
  await assert.rejects(warningsOf({ DEFAULT: { auth_strategy: 'keystone' } }), /\[keystone_authtoken\] auth_url/)
})
