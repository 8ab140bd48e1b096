import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTransportUrl } from './transport-url.ts'

test('hosts, users and virtual hosts are read as oslo.messaging reads them', () => {
  const guest = { port: 5672, username: 'guest', password: 'guest' }
  assert.deepEqual(readTransportUrl('rabbit://'), { hosts: [{ ...guest, hostname: 'localhost' }], virtualHost: '/' })
  assert.deepEqual(readTransportUrl('rabbit://bus/'), { hosts: [{ ...guest, hostname: 'bus' }], virtualHost: '/' })
  assert.deepEqual(readTransportUrl('rabbit://u:p%40ss:w@b1:5671,v:q@[fd00::1]/nova%2Fx?ssl=1'), {
    hosts: [
      { hostname: 'b1', port: 5671, username: 'u', password: 'p@ss:w' },
      { hostname: 'fd00::1', port: 5672, username: 'v', password: 'q' },
    ],
    virtualHost: 'nova/x',
  })
})

test('what is no such URL is refused, and its password told to nobody', () => {
  const wrong = ['', 'bus', 'amqp://u:hush@h/', 'kafka://u:hush@h/', 'rabbit://u:hush@/', 'rabbit://u:hush@h:x/']
  for (const text of [...wrong, 'rabbit://u:hush@h:99999/', 'rabbit://u:hush%zz@h/']) {
    assert.throws(
      () => readTransportUrl(text),
      (error: Error) => /Cannot reach the message bus/.test(error.message) && !/hush/.test(error.message),
      text,
    )
  }
})
