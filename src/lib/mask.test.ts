import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maskText, secretsIn } from './mask.ts'

test('values of names that speak of a secret, however they are written', () => {
  for (const [text, masked] of [
    [
      'Command line: quiet ipa-agent-token=abc123 BOOTIF=01-52',
      'Command line: quiet ipa-agent-token=****** BOOTIF=01-52',
    ],
    ['rootpwd=hunter2 x', 'rootpwd=****** x'],
    ['{"password": "a b", "user": "me"}', '{"password": ******, "user": "me"}'],
    ["{'redfish_password': 'x'}", "{'redfish_password': ******}"],
    ['GET /v1/commands/?wait=true&agent_token=xyz&a=1', 'GET /v1/commands/?wait=true&agent_token=******&a=1'],
    [
      'fetching https://me:hush@images.example/x?temp_url_sig=00ff&temp_url_expires=9',
      'fetching https://me:******@images.example/x?temp_url_sig=******&temp_url_expires=9',
    ],
    ['[    1.2] Password: hush', '[    1.2] Password: ******'],
  ] as const) {
    assert.equal(maskText(text), masked)
  }
})

test('what is no secret stays as it is', () => {
  for (const text of [
    '[    0.0] Linux version 6.1',
    'eth0: 52:54:00:00:00:01 up',
    'https://images.example/a:b@c',
    'tokens are made here',
  ]) {
    assert.equal(maskText(text), text)
  }
})

test('known secrets are hidden wherever they stand; what is too short to be told from words is not looked for', () => {
  const secrets = secretsIn({
    redfish_password: 'S3cret-x',
    nested: { snmp_community: 'public', port: 'abcdefgh' },
    token: 'a',
  })
  assert.deepEqual(secrets, ['S3cret-x', 'public', 'a'])
  assert.equal(
    maskText('said S3cret-x and public, a word; abcdefgh', secrets),
    'said ****** and ******, a word; abcdefgh',
  )
})
