import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { type FakeApi, startFakeApi, writing } from './fake-api.ts'
import { run } from './main.ts'
import { duration, size } from './progress-view.ts'
import { type TestTerminal, testTerminal } from './test-terminal.ts'

let api: FakeApi
const mebibyte = 1024 * 1024

before(async () => {
  api = await startFakeApi()
})
after(async () => await api.close())
beforeEach(async () => {
  api.clear()
  await ferrite('node create --driver redfish --name n1')
  await ferrite('node manage n1 --wait')
  await ferrite('node provide n1 --wait')
})

async function ferrite(line: string, terminal: TestTerminal = testTerminal()): Promise<number> {
  return await run(['--os-endpoint', api.url, '--retry-interval', '1', ...line.split(' ')], terminal)
}

const step = { interface: 'deploy', step: 'write_image' }
const deploying = { provision_state: 'deploying', target_provision_state: 'active', deploy_step: step } as const
const done = { provision_state: 'active', target_provision_state: null } as const

test('without a terminal: a line per change of state and per ten per cent', async () => {
  const megabytes = [0, 3, 12, 13, 47, 48, 99, 100]
  api.nextDeploy = [
    { provision_state: 'deploying', target_provision_state: 'active' },
    { provision_state: 'wait call-back', target_provision_state: 'active' },
    ...megabytes.map(n => ({ ...deploying, progress: writing(n, 100) })),
    { ...deploying, deploy_step: { interface: 'deploy', step: 'reboot' } },
    done,
  ]
  const terminal = testTerminal()
  assert.equal(await ferrite('node deploy n1 --wait', terminal), 0)
  assert.equal(terminal.takeOut(), 'Waiting for provision state active on node(s) n1\n')
  assert.deepEqual(terminal.takeErr().trimEnd().split('\n'), [
    'n1: wait call-back',
    'n1: deploying, deploy.write_image: writing image 0 % (0 B of 100.0 MiB, 50.0 MiB/s, 2 s left)',
    'n1: deploying, deploy.write_image: writing image 12 % (12.0 MiB of 100.0 MiB, 50.0 MiB/s, 2 s left)',
    'n1: deploying, deploy.write_image: writing image 47 % (47.0 MiB of 100.0 MiB, 50.0 MiB/s, 1 s left)',
    'n1: deploying, deploy.write_image: writing image 99 % (99.0 MiB of 100.0 MiB, 50.0 MiB/s, 0 s left)',
    'n1: deploying, deploy.write_image: writing image 100 % (100.0 MiB of 100.0 MiB, 50.0 MiB/s, 0 s left)',
    'n1: deploying, deploy.reboot',
    'n1: active after 10 s',
  ])
})

test('on a terminal: one line, redrawn in place, with a bar', async () => {
  api.nextDeploy = [
    { provision_state: 'deploying', target_provision_state: 'active' },
    { provision_state: 'wait call-back', target_provision_state: 'active' },
    { ...deploying, progress: writing(50, 100) },
    done,
  ]
  const terminal = testTerminal({ tty: { columns: 120 } })
  assert.equal(await ferrite('node deploy n1 --wait', terminal), 0)
  const up = '\x1b[1A\x1b[J'
  assert.equal(
    terminal.takeErr(),
    [
      'n1  wait call-back  0 s\n',
      `${up}n1  deploying  writing image  [############------------]  50 %  50.0 MiB of 100.0 MiB  50.0 MiB/s  1 s left\n`,
      `${up}n1: active after 2 s\n`,
    ].join(''),
  )
})

test('a bar without news says so', async () => {
  api.nextDeploy = [
    { provision_state: 'deploying', target_provision_state: 'active' },
    ...Array.from({ length: 30 }, () => ({ ...deploying, progress: writing(50, 100) })),
    done,
  ]
  const terminal = testTerminal({ tty: { columns: 120 } })
  await ferrite('node deploy n1 --wait', terminal)
  assert.match(terminal.takeErr(), /no news for 20 s/)
})

test('progress of an unknown total has no bar, and a broken one is not believed', async () => {
  const unknown = { ...writing(50, 100), total_bytes: null, eta_s: null }
  const broken = { ...writing(50, 100), bytes: -1 }
  api.nextDeploy = [
    { provision_state: 'deploying', target_provision_state: 'active' },
    { ...deploying, progress: unknown },
    { ...deploying, progress: broken },
    done,
  ]
  const terminal = testTerminal({ tty: { columns: 120 } })
  await ferrite('node deploy n1 --wait', terminal)
  const lines = terminal.takeErr().split('\n')
  assert.equal(lines[0], 'n1  deploying  writing image  50.0 MiB  50.0 MiB/s')
  assert.match(lines[1] ?? '', /n1 {2}deploying, deploy\.write_image {2}1 s$/)
})

test('a failed node: exit 1 with its last_error', async () => {
  api.nextDeploy = [
    { provision_state: 'deploying', target_provision_state: 'active' },
    { provision_state: 'deploy failed', target_provision_state: 'active', last_error: 'Image checksum is wrong' },
  ]
  const terminal = testTerminal()
  assert.equal(await ferrite('node deploy n1 --wait', terminal), 1)
  assert.equal(
    terminal.takeErr(),
    'n1: deploy failed\nNode n1 did not reach state active: it came to rest in deploy failed: Image checksum is wrong\n',
  )
})

test('a node that came to rest elsewhere fails too: verification falls back to enroll', async () => {
  api.nextDeploy = [
    { provision_state: 'deploying', target_provision_state: 'active' },
    { provision_state: 'enroll', target_provision_state: null, last_error: 'BMC refused the password' },
  ]
  const terminal = testTerminal()
  assert.equal(await ferrite('node deploy n1 --wait', terminal), 1)
  assert.match(terminal.takeErr(), /it came to rest in enroll: BMC refused the password/)
})

test('one of several that fails does not stop the wait for the others', async () => {
  await ferrite('node create --driver redfish --name n2')
  await ferrite('node manage n2 --wait')
  await ferrite('node provide n2 --wait')
  api.nextDeploy = [
    { provision_state: 'deploying', target_provision_state: 'active' },
    { provision_state: 'deploy failed', target_provision_state: 'active', last_error: 'no disk' },
  ]
  const terminal = testTerminal()
  assert.equal(await ferrite('node deploy n1 n2 --wait', terminal), 1)
  const text = terminal.takeErr()
  assert.match(text, /n2: active after 2 s/)
  assert.match(text, /Node n1 did not reach state active: it came to rest in deploy failed: no disk/)
})

test('a timeout ends the wait, not the work', async () => {
  api.nextDeploy = Array.from({ length: 20 }, () => deploying)
  const terminal = testTerminal()
  assert.equal(await ferrite('node deploy n1 --wait 5', terminal), 1)
  assert.match(terminal.takeErr(), /Stopped waiting for state active after 5 s: node n1 is deploying/)
})

test('Ctrl-C ends the wait, not the work', async () => {
  api.nextDeploy = Array.from({ length: 20 }, () => deploying)
  const terminal = testTerminal()
  terminal.onSleep = () => terminal.interrupt()
  assert.equal(await ferrite('node deploy n1 --wait', terminal), 130)
  assert.match(terminal.takeErr(), /Stopped waiting for state active; the work goes on: node n1 is deploying/)
})

test('a service that is away for a while is waited for', async () => {
  const first = await startFakeApi()
  const port = Number(new URL(first.url).port)
  const options = ['--os-endpoint', first.url, '--max-retries', '1']
  const terminal = testTerminal()
  for (const line of ['node create --driver redfish --name n1', 'node manage n1 --wait', 'node provide n1 --wait']) {
    assert.equal(await run([...options, ...line.split(' ')], terminal), 0)
  }
  terminal.takeErr()
  first.nextDeploy = Array.from({ length: 20 }, () => deploying)
  let sleeps = 0
  let second: FakeApi | undefined
  terminal.onSleep = async () => {
    sleeps++
    if (sleeps === 1) await first.close()
    if (sleeps === 6) second = await startFakeApi({ port, nodes: [{ uuid: 'u', name: 'n1', ...done }] })
  }
  assert.equal(await run([...options, 'node', 'deploy', 'n1', '--wait'], terminal), 0)
  assert.ok(second)
  await second.close()
  const text = terminal.takeErr()
  assert.match(text, /connection refused.*Still waiting\..*n1: active after/s)
})

test('sizes and durations', () => {
  assert.deepEqual([0, 1023, 1024, 1.5 * mebibyte, 5e12].map(size), ['0 B', '1023 B', '1.0 KiB', '1.5 MiB', '4.5 TiB'])
  assert.deepEqual([400, 59_400, 60_000, 185_000, 7_620_000].map(duration), [
    '0 s',
    '59 s',
    '1 min 00 s',
    '3 min 05 s',
    '2 h 07 min',
  ])
})
