import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maskerOf } from './mask.ts'

const masker = maskerOf(new Set(['bmc_community', 'Special_Key']))

const cases: [name: string, before: unknown, after: unknown, hide?: string[]][] = [
  ['keys that speak of secrets', { redfish_password: 'x', a: 1 }, { redfish_password: '******', a: 1 }],
  ['in any case', { AdminPass: 'x', SSLKEY: 'y' }, { AdminPass: '******', SSLKEY: '******' }],
  ['inside objects and lists', { a: { b: [{ token: 't', c: 2 }] } }, { a: { b: [{ token: '******', c: 2 }] } }],
  [
    'whatever the value is',
    { secret: { x: 1 }, token: null, password: 5 },
    { secret: '******', token: '******', password: '******' },
  ],
  ['keys of drivers', { bmc_community: 'c', special_key: 'd' }, { bmc_community: '******', special_key: '******' }],
  ['keys of SNMP', { snmp_auth_key: 'c', snmp_priv_key: 'd' }, { snmp_auth_key: '******', snmp_priv_key: '******' }],
  [
    'assignments inside texts',
    { url: 'http://h/?password=abc&x=1', n: 'token: "a b" end' },
    { url: 'http://h/?password=******&x=1', n: 'token: ****** end' },
  ],
  [
    'nothing else',
    { url: 'http://h/x', username: 'admin', passwd_age: 1 },
    { url: 'http://h/x', username: 'admin', passwd_age: 1 },
  ],
  [
    'what is hidden whole',
    { image_url: 'http://x', configdrive: { a: 1 }, k: 'v' },
    { image_url: '******', configdrive: '******', k: 'v' },
    ['configdrive', 'image_url'],
  ],
]
for (const [name, before, after, hide] of cases) {
  test(`hides ${name}`, () => assert.deepEqual(JSON.parse(masker.text(JSON.stringify(before), hide)), after))
}

test('an object without secrets keeps its very text', () => {
  const text = '{"a":1.0,"b":"x"}'
  assert.equal(masker.text(text), text)
})

test('a long text full of suspicious words is searched in a moment', () => {
  const began = performance.now()
  masker.text(JSON.stringify({ a: 'password'.repeat(100_000), b: 'token'.repeat(100_000) + ' '.repeat(100_000) }))
  assert.ok(performance.now() - began < 2000)
})
