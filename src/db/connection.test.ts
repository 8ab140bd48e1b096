import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { InvalidInput } from '#lib/fault.ts'
import { readConnection } from './connection.ts'

test('URLs of SQLite name files, relative and absolute, or memory', () => {
  assert.deepEqual(readConnection('sqlite:///var/a.sqlite'), { engine: 'sqlite', path: resolve('var/a.sqlite') })
  assert.deepEqual(readConnection('sqlite:////srv/a.sqlite'), { engine: 'sqlite', path: '/srv/a.sqlite' })
  assert.deepEqual(readConnection('sqlite://'), { engine: 'sqlite', path: ':memory:' })
})

test('a URL of PostgreSQL gives all that is needed to reach it, whatever driver it names', () => {
  for (const scheme of ['postgresql', 'postgres', 'postgresql+psycopg2', 'postgresql+asyncpg']) {
    assert.deepEqual(readConnection(`${scheme}://fer:p%40ss@db.example:6543/nodes?connect_timeout=7`), {
      engine: 'postgresql',
      host: 'db.example',
      port: 6543,
      user: 'fer',
      password: 'p@ss',
      database: 'nodes',
      tls: false,
      sessionOptions: undefined,
      connectTimeoutS: 7,
    })
  }
  const socket = readConnection('postgresql:///nodes?host=/run/postgresql&user=fer')
  assert.ok(socket.engine === 'postgresql')
  assert.deepEqual([socket.host, socket.port, socket.user], ['/run/postgresql', 5432, 'fer'])
})

test('sslmode says how far the server is trusted', () => {
  const tls = (mode: string) => {
    const connection = readConnection(`postgresql://fer@db.example/nodes?sslmode=${mode}`)
    return connection.engine === 'postgresql' && connection.tls
  }
  assert.equal(tls('disable'), false)
  assert.equal((tls('require') as { rejectUnauthorized: boolean }).rejectUnauthorized, false)
  assert.deepEqual(tls('verify-full'), { rejectUnauthorized: true })
  assert.throws(() => tls('always'), /sslmode "always"/)
})

test('what is wrong with a URL is said without the URL', () => {
  const wrong = [
    ['mysql+pymysql://fer:s3cret@db/nodes', /begins with "mysql\+pymysql:\/\/"/],
    ['postgresql://fer:s3cret@db/', /names none/],
    ['postgresql://db/nodes?password=s3cret', /names no user/],
    ['postgresql://fer:s3cret@db:port/nodes', /cannot be read/],
    ['postgresql://fer:s3cret@db/nodes?ssl=true', /option "ssl"/],
  ] as const
  for (const [url, message] of wrong) {
    assert.throws(
      () => readConnection(url),
      (error: unknown) =>
        error instanceof InvalidInput && message.test(error.message) && !error.message.includes('s3cret'),
    )
  }
})
