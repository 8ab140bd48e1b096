/** The client as a process: streams, exit status, Ctrl-C. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type FakeApi, startFakeApi } from './fake-api.ts'
import { run } from './main.ts'
import { testTerminal } from './test-terminal.ts'

const program = fileURLToPath(new URL('../main.ts', import.meta.url))
let api: FakeApi

before(async () => {
  api = await startFakeApi()
  for (const line of ['node create --driver redfish --name n1', 'node manage n1 --wait', 'node provide n1 --wait']) {
    await run(['--os-endpoint', api.url, ...line.split(' ')], testTerminal())
  }
})
after(async () => await api.close())

function ferrite(line: string) {
  const child = spawn(process.execPath, [program, ...line.split(' ')], {
    env: { PATH: process.env.PATH, OS_ENDPOINT: api.url },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  return { child, out: text(child.stdout), err: text(child.stderr), ended }
}

test('results go to stdout, errors to stderr, and the status tells them apart', async () => {
  const good = ferrite('node list -f value -c name')
  assert.deepEqual([await good.ended, await good.out, await good.err], [0, 'n1\n', ''])
  const bad = ferrite('node show n2')
  assert.deepEqual([await bad.ended, await bad.out], [1, ''])
  assert.match(await bad.err, /^Node n2 could not be found\. \(HTTP 404, request req-/)
  const wrong = ferrite('node show')
  assert.equal(await wrong.ended, 2)
})

test('standard input is read for -', async () => {
  const { child, ended } = ferrite('node set n1 --network-data -')
  child.stdin.end('links: []\n')
  await ended
  assert.match(api.requests.at(-1) ?? '', /"path":"\/network_data","value":\{"links":\[\]\}/)
})

test('Ctrl-C stops a wait at once, says where the node is, and exits 130', async () => {
  api.nextDeploy = Array.from({ length: 100 }, () => ({
    provision_state: 'deploying',
    target_provision_state: 'active',
  }))
  const { child, ended, err } = ferrite('node deploy n1 --wait')
  child.stderr.once('data', () => child.kill('SIGINT')) // its first line: the wait has begun
  assert.equal(await ended, 130)
  assert.match(await err, /Stopped waiting for state active; the work goes on: node n1 is deploying/)
})
