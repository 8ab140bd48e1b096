import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { type ShaCrypt, shaCrypt } from './sha-crypt.ts'

// What crypt(3) of the GNU C library answers.
const known: [ShaCrypt, salt: string, rounds: number, password: string, hash: string][] = [
  ['sha256', 'saltstring', 5000, 'Hello world!', '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'],
  [
    'sha256',
    'saltstringsaltst',
    10000,
    'Hello world!',
    '$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA',
  ],
  [
    'sha512',
    'saltstring',
    5000,
    'Hello world!',
    '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
  ],
]

for (const [algorithm, salt, rounds, password, hash] of known) {
  test(`${algorithm}, ${rounds} rounds`, async () => {
    assert.equal(await shaCrypt(password, algorithm, salt, rounds), hash)
  })
}

test('what openssl makes of the same password and salt is the same, whatever the length', async t => {
  const openssl = (id: string, salt: string, password: string) =>
    spawnSync('openssl', ['passwd', `-${id}`, '-salt', salt, '-stdin'], { input: `${password}\n`, encoding: 'utf8' })
  if (openssl('6', 'x', 'x').status !== 0) return t.skip('openssl is not installed')
  for (const password of ['a', 'pässwörd', 'x'.repeat(31), 'x'.repeat(64), 'x'.repeat(150)]) {
    for (const [algorithm, id] of [
      ['sha256', '5'],
      ['sha512', '6'],
    ] as const) {
      const made = await shaCrypt(password, algorithm)
      const salt = made.split('$')[2] ?? ''
      assert.equal(made, openssl(id, salt, password).stdout.trim())
    }
  }
})
