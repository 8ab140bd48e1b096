import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeLease } from '#db/nodes.ts'
import { startApi } from '../test-api.ts'

test('leases: who holds which node, for what, until when; the longest held first', async () => {
  await using api = await startApi()
  const [first, second] = [await api.node({ name: 'n1' }), await api.node({ name: 'n2' })]
  await api.node({ name: 'n3' })
  const nowMs = Date.now()
  const take = (uuid: string, purpose: string, atMs: number) =>
    takeLease(api.db, uuid, { holder: 'host-2', purpose, nowMs: atMs, forMs: 60_000, visible: true })
  await take(first, 'deploy', nowMs)
  await take(second, 'clean', nowMs - 30_000)
  const { leases } = (await api.call('GET', '/v1/leases')).json as { leases: Record<string, unknown>[] }
  assert.deepEqual(
    leases.map(({ node_name, holder, purpose }) => [node_name, holder, purpose]),
    [
      ['n2', 'host-2', 'clean'],
      ['n1', 'host-2', 'deploy'],
    ],
  )
  assert.equal(Date.parse(String(leases[0]?.until)) - Date.parse(String(leases[0]?.since)), 60_000)
})

test('stored images are those of the host that answers', async () => {
  await using api = await startApi()
  const { host, images } = (await api.call('GET', '/v1/images')).json as { host: string; images: unknown[] }
  assert.deepEqual([host, images.length], ['host-1', 1])
})

test('settings: every option with its meaning, what is set, and never a secret', async () => {
  const connection = 'postgresql://ferrite:open-sesame@db.example/ferrite'
  await using api = await startApi({
    database: { connection },
    ipmi: { disable_boot_timeout: false },
    keystone_authtoken: { password: 'a-secret-word' },
  })
  const { json } = await api.call('GET', '/v1/settings')
  const text = JSON.stringify(json)
  assert.ok(!text.includes('open-sesame') && !text.includes('a-secret-word'))
  const { settings } = json as { settings: Record<string, unknown>[] }
  const of = (group: string, name: string) => settings.find(one => one.group === group && one.name === name)
  assert.ok(settings.length > 400 && settings.every(({ help, expected }) => help && expected))
  const { value, is_set_secret, default: standard } = of('keystone_authtoken', 'password') ?? {}
  assert.deepEqual([value, is_set_secret, standard], [null, true, null])
  assert.deepEqual(
    [of('ipmi', 'disable_boot_timeout')?.value, of('ipmi', 'disable_boot_timeout')?.is_default],
    ['false', false],
  )
  assert.equal(of('conductor', 'max_concurrent_deploy')?.is_default, true)
})
