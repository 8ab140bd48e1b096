import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { RedfishClients } from './clients.ts'
import type { BmcSettings } from './driver-info.ts'
import { fakeBmc, openPort } from './fake-bmc.ts'

test('at the end sessions are closed, but not all of them at once', async () => {
  const bmc = fakeBmc()
  let underWay = 0
  let most = 0
  await using port = await openPort(async request => {
    if (request.method !== 'DELETE') return bmc.handle(request)
    underWay += 1
    most = Math.max(most, underWay)
    await new Promise(resolve => setTimeout(resolve, 20))
    underWay -= 1
    return bmc.handle(request)
  })
  const clients = new RedfishClients({ clock: systemClock, log: silent, random: Math.random })
  const signal = new AbortController().signal
  const settings: BmcSettings = {
    ...{ origin: port.url, rootPath: '/redfish/v1/', username: bmc.user, password: bmc.password, authType: 'session' },
    tls: { verify: true, caPath: null, fingerprint: port.fingerprint, minimumVersion: null, ciphers: null },
    ...{ connectTimeoutMs: 60_000, readTimeoutMs: 60_000, attempts: 1, retryIntervalMs: 0 },
  }
  // Each setting that differs is another client, with a session of its own.
  for (let more = 0; more < 150; more++)
    await clients.of({ ...settings, readTimeoutMs: 60_000 + more }, 1000).members('/redfish/v1/Systems', signal)
  assert.equal(bmc.tokens.size, 150)
  await clients[Symbol.asyncDispose]()
  assert.equal(bmc.tokens.size, 0, 'all have logged out')
  assert.ok(most > 1 && most <= 64, `${most} at a time`)
})
