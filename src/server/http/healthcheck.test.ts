import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startApi } from '../test-api.ts'

const json = { Accept: 'application/json' }

test('the health check answers in plain text, without a version, also to HEAD', async () => {
  await using api = await startApi({ healthcheck: { enabled: true } })
  const odd = { 'X-OpenStack-Ironic-API-Version': '99' }
  for (const path of ['/healthcheck', '/healthcheck/', '/healthcheck?x=1']) {
    const reply = await fetch(api.url + path, { headers: odd })
    assert.deepEqual([reply.status, await reply.text()], [200, 'OK'], path)
    assert.match(reply.headers.get('content-type') ?? '', /^text\/plain/)
    assert.equal(reply.headers.get('x-openstack-ironic-api-maximum-version'), null)
  }
  assert.equal((await fetch(`${api.url}/healthcheck`, { method: 'HEAD' })).status, 204)
  const told = await fetch(`${api.url}/healthcheck`, { headers: json })
  assert.deepEqual(await told.json(), { detailed: false, reasons: ['OK'] })
  const { status } = await api.call('POST', '/healthcheck')
  assert.ok(status === 404 || status === 405)
})

test('it says no while the operator wants none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-health-'))
  const file = join(folder, 'out-of-rotation')
  const healthcheck = { enabled: true, path: '/alive', detailed: true, disable_by_file_path: file }
  await using api = await startApi({ healthcheck })
  const ask = (method: string) => fetch(`${api.url}/alive`, { method, headers: json })
  assert.equal((await ask('GET')).status, 200)
  await writeFile(file, '')
  const told = await ask('GET')
  assert.equal(told.status, 503)
  const reason = { class: 'disable_by_file', details: file, reason: 'DISABLED BY FILE' }
  assert.deepEqual(await told.json(), { detailed: true, reasons: [reason] })
  assert.equal((await ask('HEAD')).status, 503)
  await rm(folder, { recursive: true })
  assert.equal((await ask('GET')).status, 200)
})

test('without the option there is none', async () => {
  await using api = await startApi()
  assert.equal((await api.call('GET', '/healthcheck')).status, 404)
})
