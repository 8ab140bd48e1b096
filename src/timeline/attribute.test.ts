/** To whom seconds belong: records, hops of a boot, a ramdisk's log, breaks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SeenRow } from '#db/timeline-rows.ts'
import { attribute, type Evidence } from './attribute.ts'
import { kernelTimes } from './boot.ts'
import { phaseOfRecord } from './phases.ts'

const beganMs = Date.UTC(2026, 0, 1)
const at = (seconds: number) => new Date(beganMs + seconds * 1000).toISOString()
const record = (name: string, from: number, to: number | null) => ({
  name,
  started_at: at(from),
  ended_at: to === null ? null : at(to),
})
const hop = (seconds: number, name: string, data: Record<string, unknown> = {}): SeenRow => ({
  at: at(seconds),
  kind: 'boot hop',
  data: { hop: name, ...data },
})
const run = (endS: number | null, more: Partial<Evidence['run']> = {}): Evidence['run'] => ({
  kind: 'deploy',
  state: endS === null ? 'waiting' : 'done',
  error_code: null,
  progress: null,
  started_at: at(0),
  ended_at: endS === null ? null : at(endS),
  ...more,
})

/** `phase seconds` of each stretch. */
function shown(evidence: Partial<Evidence> & Pick<Evidence, 'run'>, nowS = 0): string {
  const found = attribute({ records: [], seen: [], kernels: [], ...evidence }, beganMs + nowS * 1000)
  for (const [index, { fromMs }] of found.entries()) assert.equal(fromMs, found[index - 1]?.toMs ?? beganMs)
  return found.map(({ phase, fromMs, toMs }) => `${phase} ${(toMs - fromMs) / 1000}`).join(', ')
}

test('a boot whose hops are all seen: loader by TFTP, its own DHCP, files by HTTP', () => {
  const seen = [
    hop(60, 'dhcp discover', { client: 'PXEClient:Arch:00007' }),
    hop(62, 'dhcp ack', { client: 'PXEClient:Arch:00007' }),
    hop(64, 'tftp'),
    hop(65, 'dhcp discover', { client: 'PXEClient:Arch:00007' }),
    hop(66, 'dhcp ack', { client: 'PXEClient:Arch:00007' }),
    hop(67, 'script', { bytes: 100, seconds: 0 }),
    hop(70, 'kernel', { bytes: 1000, seconds: 2 }),
    hop(80, 'ramdisk', { bytes: 9000, seconds: 10 }),
    hop(95, 'dhcp discover', { client: 'udhcp 1.36' }),
    hop(96, 'dhcp ack', { client: 'udhcp 1.36' }),
    hop(99, 'lookup'),
  ]
  const records = [record('boot deploy: on: ask', 0, 2), record('agent of deploy', 2, 101)]
  const told = 'bmc 2, firmware 58, dhcp 2, fetch 3, dhcp 1, fetch 14, kernel 15, agent 6'
  assert.equal(shown({ run: run(101), records, seen }), told)
  const bytes = attribute({ run: run(101), records, seen, kernels: [] }, 0).map(one => one.bytes)
  assert.deepEqual(bytes, [null, null, null, null, null, 10_100, null, null])
})

test('a boot of which only the agent is heard', () => {
  const records = [record('agent of deploy', 0, 100)]
  assert.equal(shown({ run: run(100), records, seen: [hop(90, 'lookup')] }), 'boot 90, agent 10')
  assert.equal(shown({ run: run(100), records }), 'boot 100')
  // Its log says when the kernel began, and when that was up.
  const kernels = kernelTimes([
    { boot_id: 'a', came_at: at(85), text: '[    0.00] Linux\n[    9.50] Run /init as init process\n[   14.00] up\n' },
    { boot_id: 'a', came_at: at(88), text: '[   18.00] more\nwithout a time\n' },
    { boot_id: 'b', came_at: at(86), text: 'nothing to go by' },
  ])
  assert.deepEqual(kernels, [{ beganMs: beganMs + 70_000, initMs: beganMs + 79_500 }])
  const seen = [hop(90, 'lookup')]
  assert.equal(shown({ run: run(100), records, seen, kernels }), 'boot 70, kernel 9.5, agent 20.5')
})

test('a medium: fetched by firmware while it boots, or by a BMC before it does', () => {
  const records = [record('boot deploy: on: wait', 0, 5), record('agent of deploy', 5, 60)]
  const fetched = (atS: number) => [hop(atS, 'medium', { bytes: 100, seconds: 4 }), hop(50, 'lookup')]
  assert.equal(shown({ run: run(60), records, seen: fetched(20) }), 'bmc 5, firmware 11, fetch 4, kernel 30, agent 10')
  assert.equal(shown({ run: run(60), records, seen: fetched(4) }), 'bmc 5, boot 45, agent 10')
})

test('files of somebody else: from the first request on', () => {
  const seen = [hop(50, 'script', { bytes: 1, seconds: 1 }), hop(90, 'lookup')]
  assert.equal(
    shown({ run: run(100), records: [record('agent of deploy', 0, 100)], seen }),
    'firmware 49, fetch 41, agent 10',
  )
})

test('a boot that is begun again, and an inspection, whose ramdisk collects before it calls', () => {
  const again = [
    record('agent of clean', 0, 100),
    record('agent of clean again, boot 2: prepare', 100, 101),
    record('agent of clean again, boot 2: on: wait', 101, 105),
    record('agent of clean, boot 2', 105, 200),
  ]
  const seen = [hop(30, 'dhcp discover'), hop(150, 'dhcp discover'), hop(151, 'dhcp ack'), hop(190, 'lookup')]
  const told = 'firmware 30, dhcp 70, bmc 5, firmware 45, dhcp 1, fetch 39, agent 10'
  assert.equal(shown({ run: run(200), records: again, seen }), told)
  const records = [record('inspection data', 0, 50), record('hooks', 50, 52)]
  assert.equal(shown({ run: run(52, { kind: 'inspect' }), records, seen: [hop(20, 'lookup')] }), 'boot 20, inspect 32')
})

test('steps of a plan have the phase of the step, but for power changes and boots', () => {
  const step = 'clean 2 raid.create_configuration'
  const records = [
    record(`${step}: begin`, 0, 1),
    record(`${step}: done`, 1, 30),
    record(`${step}: prepare boot`, 30, 31),
    record(`${step}: reboot: off: wait`, 31, 35),
    record(`${step}: reboot: on: done`, 35, 36),
    record(`${step}: agent`, 36, 60),
    record(`${step}: end`, 60, 61),
  ]
  const told = 'conductor 1, clean 29, bmc 6, boot 24, conductor 1'
  assert.equal(shown({ run: run(61, { kind: 'clean' }), records }), told)
  assert.equal(phaseOfRecord('write image: done', { kind: 'deploy', name: 'deploy.write_image' }), 'write')
  assert.equal(phaseOfRecord('agent: powered off', { kind: 'deploy', name: 'deploy.tear_down_agent' }), 'reboot')
  assert.equal(phaseOfRecord('what nobody knows', undefined), 'conductor')
})

test('what nobody recorded is nobody’s, unless the run broke off there', () => {
  const records = [record('a place to deploy', 0, 10), record('plan', 40, 41)]
  assert.equal(shown({ run: run(44), records }), 'queue 10, unattributed 30, conductor 4')
  const failing = { state: 'failed', error_code: 'bmc-unreachable' } as const
  const undone = [record('a place to deploy', 0, 10), record('undo/power off: ask', 70, 72)]
  assert.equal(shown({ run: run(73, failing), records: undone }), 'queue 10, bmc 60, undo 2, conductor 1')
})

test('of a run under way the last phase is that of the step at work', () => {
  const begun = record('deploy with agent 1 deploy.write_image: begin', 0, 1)
  assert.equal(shown({ run: run(null), records: [begun] }, 20), 'conductor 1, write 19')
  assert.equal(shown({ run: run(null), records: [record('agent of deploy', 0, null)] }, 20), 'firmware 20')
  assert.equal(shown({ run: run(null) }, 3), 'conductor 3')
  const figures = { bytes: 1, total_bytes: 2, rate_bytes_per_s: null, eta_s: null, updated_at: at(1) }
  const progress = { step: 'deploy.write_image', phase: 'image: download', ...figures }
  assert.equal(shown({ run: run(null, { progress }) }, 20), 'image 20')
})
