import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RunContext } from '../context.ts'
import { rescueCommands, setRescuePassword } from './rescue.ts'

async function root() {
  const path = await mkdtemp(join(tmpdir(), 'ferrite-rescue-'))
  await mkdir(join(path, 'etc'))
  await writeFile(join(path, 'etc/passwd'), 'root:x:0:0:root:/root:/usr/bin/sh\nnobody:x:65534:65534::/:/bin/false\n')
  await writeFile(join(path, 'etc/shadow'), 'root:*:20000:0:99999:7:::\n')
  const read = (name: string) => readFile(join(path, 'etc', name), 'utf8')
  return { path, read, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

test('the user rescue gets the hash that was sent, once, and nobody else changes', async () => {
  await using system = await root()
  await setRescuePassword(system.path, '$5$salt$hash', { hashed: true })
  await setRescuePassword(system.path, '$5$salt$another', { hashed: true })
  assert.equal(
    await system.read('passwd'),
    'root:x:0:0:root:/root:/usr/bin/sh\nnobody:x:65534:65534::/:/bin/false\nrescue:x:0:0:rescue:/root:/usr/bin/sh\n',
  )
  assert.match(
    await system.read('shadow'),
    /^root:\*:20000:0:99999:7:::\nrescue:\$5\$salt\$another:\d+:0:99999:7:::\n$/,
  )
  assert.equal((await stat(join(system.path, 'etc/shadow'))).mode & 0o777, 0o600)
})

test('a password in the clear is stored as its hash', async t => {
  await using system = await root()
  await setRescuePassword(system.path, 'open sesame', { hashed: false })
  const shadow = await system.read('shadow')
  assert.doesNotMatch(shadow, /sesame/)
  const [, salt = '', hash] = /rescue:\$6\$([^$]+)\$([^:]+):/.exec(shadow) ?? []
  const args = ['passwd', '-6', '-salt', salt, '-stdin']
  const openssl = spawnSync('openssl', args, { input: 'open sesame\n', encoding: 'utf8' })
  if (openssl.status !== 0) return t.skip('openssl is not installed')
  assert.equal(openssl.stdout.trim(), `$6$${salt}$${hash}`)
})

test('what would break the files is refused', () => {
  const { finalize_rescue: command } = rescueCommands(async () => {})
  for (const password of [undefined, '', 5, 'a:b', 'a\nroot::0:0:::']) {
    // Nothing of the context is looked at.
    assert.throws(() => command?.validate?.({ rescue_password: password }, {} as never), /one line without a colon/)
  }
})

test('the command answers first, then the API closes', { timeout: 60_000 }, async () => {
  const said: string[] = []
  const agent = {
    settings: { ownsMachine: false },
    log: { info: (line: string) => said.push(line), warn() {}, error() {}, debug() {} },
  } as unknown as RunContext['agent'] // all that the command looks at
  const closed = Promise.withResolvers<string>()
  const { finalize_rescue: command } = rescueCommands(async () => closed.resolve('closed'))
  const context = { agent, progress: () => {}, signal: new AbortController().signal }
  const answered = command?.run({ rescue_password: '$6$salt$hash', hashed: true }, context)
  assert.equal(await Promise.race([closed.promise, answered]), null)
  assert.equal(await closed.promise, 'closed')
  assert.match(said.join(), /has its password/)
  assert.ok(!said.join().includes('salt'))
})
