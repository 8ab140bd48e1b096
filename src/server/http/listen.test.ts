import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Fastify from 'fastify'
import { loadConfig } from '#config/load.ts'
import { close, listen } from './listen.ts'

const directory = await mkdtemp(join(tmpdir(), 'ferrite-listen-'))
after(() => rm(directory, { recursive: true, force: true }))

async function app(api: object) {
  const config = await loadConfig({ overrides: { api } })
  const fastify = Fastify()
  fastify.get('/', () => 'ok')
  return { fastify, listen: () => listen(fastify, config) }
}

function answer(where: { socketPath: string } | { host: string; port: number }): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ path: '/', agent: false, ...where }, response => {
      response.setEncoding('utf8').once('data', resolve)
    }).once('error', reject)
  })
}

test('a Unix socket has the permissions of the option, and goes with the service', async () => {
  const unix_socket = join(directory, 'deep', 'api.sock')
  const { fastify, listen } = await app({ unix_socket, unix_socket_mode: 0o660 })
  await listen()
  assert.equal((await stat(unix_socket)).mode & 0o777, 0o660)
  assert.equal(await answer({ socketPath: unix_socket }), 'ok')
  await close(fastify)
  await assert.rejects(stat(unix_socket), { code: 'ENOENT' })
})

test('a socket that a killed process left is replaced, one that is in use is not', async () => {
  const unix_socket = join(directory, 'left.sock')
  const left = createServer()
  await new Promise<void>(resolve => left.listen(unix_socket, resolve))
  const { fastify, listen } = await app({ unix_socket })
  await assert.rejects(listen(), /another process listens there; set \[api\] unix_socket/)
  await close(fastify)
  // As a process that is killed leaves it: closed, and still there.
  await rm(unix_socket)
  await new Promise(resolve => left.close(resolve))
  const { spawnSync } = await import('node:child_process')
  const program = `require('node:net').createServer().listen(${JSON.stringify(unix_socket)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', program])
  assert.ok((await stat(unix_socket)).isSocket())
  const again = await app({ unix_socket })
  await again.listen()
  assert.equal(await answer({ socketPath: unix_socket }), 'ok')
  await close(again.fastify)
})

test('a file that is no socket is left alone', async () => {
  const unix_socket = join(directory, 'precious')
  await writeFile(unix_socket, 'data')
  const { fastify, listen } = await app({ unix_socket })
  await assert.rejects(listen(), /a file that is no socket is there/)
  await close(fastify)
})

test('a port that is taken is told with its options', async () => {
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as { port: number } // it listens on TCP
  const { fastify, listen } = await app({ host_ip: '127.0.0.1', port })
  await assert.rejects(listen(), new RegExp(`127\\.0\\.0\\.1:${port}: .*EADDRINUSE.*; set \\[api\\] host_ip and port`))
  await close(fastify)
  await new Promise(resolve => taken.close(resolve))
})

const noIpv6 = Object.values(networkInterfaces())
  .flat()
  .every(one => one?.family !== 'IPv6')
test('it listens on IPv6', { skip: noIpv6 && 'this machine has no IPv6' }, async () => {
  const { fastify, listen } = await app({ host_ip: '::1', port: 0 })
  await listen()
  const { port } = fastify.server.address() as { port: number } // it listens on TCP
  assert.equal(await answer({ host: '::1', port }), 'ok')
  await close(fastify)
})
