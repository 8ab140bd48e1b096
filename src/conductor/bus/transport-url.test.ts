import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTransportUrl } from './transport-url.ts'

test('hosts, users and virtual hosts are read as oslo.messaging reads them', () => {
  const guest = { port: 5672, username: 'guest', password: 'guest' }
  assert.deepEqual(readTransportUrl('rabbit://'), {
    hosts: [{ ...guest, hostname: 'localhost' }],
    ...{ virtualHost: '/', options: {} },
  })
  assert.deepEqual(readTransportUrl('rabbit://bus/').hosts, [{ ...guest, hostname: 'bus' }])
  assert.deepEqual(readTransportUrl('rabbit://u:p%40ss:w@b1:5671,v:q@[fd00::1]/nova%2Fx?ssl=1'), {
    hosts: [
      { hostname: 'b1', port: 5671, username: 'u', password: 'p@ss:w' },
      { hostname: 'fd00::1', port: 5672, username: 'v', password: 'q' },
    ],
    virtualHost: 'nova/x',
    options: { ssl: true },
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

test('options count as the configuration would have them; what is none, or does not fit, is refused by its name', () => {
  const optionsOf = (query: string) => readTransportUrl(`rabbit://u:hush@h/${query}`).options
  assert.deepEqual(optionsOf('?'), {})
  assert.deepEqual(
    optionsOf('?ssl=yes&ssl_ca_file=%2Fetc%2Fca%20x.pem&heartbeat_timeout_threshold=20&rabbit_quorum_queue=0'),
    {
      ssl: true,
      ssl_ca_file: '/etc/ca x.pem',
      heartbeat_timeout_threshold: 20,
      rabbit_quorum_queue: false,
    },
  )
  assert.deepEqual(readTransportUrl('rabbit://h?ssl=1').options, { ssl: true })
  const wrong: [string, RegExp][] = [
    ['?ssl_cafile=/x', /option "ssl_cafile", expected one of \[oslo_messaging_rabbit\]; did you mean ssl_ca_file\?/],
    ['?toString=1', /option "toString", expected one of/],
    ['?ssl=maybe', /option ssl with "maybe"; expected true or false/],
    ['?ssl', /option ssl with ""; expected true or false/],
    ['?ssl=1&ssl=0', /option ssl with "1,0"; expected true or false/],
    ['?ssl_ca_file=', /option ssl_ca_file with ""; expected a path/],
  ]
  for (const [query, message] of wrong) assert.throws(() => optionsOf(query), message, query)
  const inPassword = () => readTransportUrl('rabbit://u:12?hush=3@h/')
  assert.throws(
    inPassword,
    (error: Error) => /expected %3F for a \?/.test(error.message) && !/hush/.test(error.message),
  )
})
