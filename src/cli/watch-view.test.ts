/** What a watched run looks like: redrawn on a terminal, lines elsewhere. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Now, Run } from '#protocol/timeline.ts'
import { testTerminal } from './test-terminal.ts'
import { WatchView } from './watch-view.ts'

const now: Now = {
  phase: 'write',
  step: 'deploy.write_image',
  what: 'write',
  phase_seconds: 5,
  bytes: 512 * 2 ** 20,
  total_bytes: 2 ** 30,
  rate_bytes_per_s: 64 * 2 ** 20,
  phase_fraction: 0.5,
  phase_eta_s: 8,
  fraction: 0.75,
  eta_s: 30,
  runs_known: 3,
  is_overdue: false,
  position: null,
  to_come: [],
  updated_at: null,
}

function run(seconds: number, more: Partial<Now> = {}): Run {
  const asked = { requested_by: null, requested_project: null, request_id: null, conductor: null }
  const end = { finished_at: null, outcome: null, error: null, error_code: null, unattributed_s: 0, expected_s: null }
  return { id: 1, kind: 'deploy', started_at: '', seconds, phases: [], ...asked, ...end, now: { ...now, ...more } }
}

test('on a terminal one line is redrawn, no wider than it is', () => {
  const terminal = testTerminal({ tty: { columns: 100 } })
  const view = new WatchView('n1', terminal)
  view.update(run(90))
  const line = terminal.takeErr()
  assert.ok(line.startsWith('\r\x1b[K'))
  assert.match(line, /n1: deploy {2}write \(deploy\.write_image\) {2}\[#{18}-{6}\] +75 % {2}512\.0 MiB of 1\.0 GiB/)
  assert.ok(line.length <= 99 + '\r\x1b[K'.length)
  view.finish({ ...run(120), outcome: 'done', unattributed_s: 2 })
  assert.equal(terminal.takeErr(), '\r\x1b[Kn1: deploy done after 2 min 00 s, 2 s of it unattributed\n')
})

test('elsewhere a line for each phase and tenth', () => {
  const terminal = testTerminal()
  const view = new WatchView('n1', terminal)
  for (const fraction of [0.75, 0.76, 0.79, 0.81]) view.update(run(90, { fraction }))
  view.update(run(95, { phase: 'reboot', step: null, bytes: null, fraction: 0.95, eta_s: null, phase_eta_s: 4 }))
  view.update(
    run(96, { phase: 'queue', step: null, bytes: null, fraction: null, position: 7, eta_s: null, phase_eta_s: null }),
  )
  const lines = terminal.takeErr().trim().split('\n')
  assert.equal(lines.length, 4)
  assert.match(lines[0] ?? '', /75 % {2}512\.0 MiB of 1\.0 GiB {2}64\.0 MiB\/s {2}30 s left$/)
  assert.match(lines[2] ?? '', /reboot .* 4 s left of the phase$/)
  assert.match(lines[3] ?? '', /place 7 in the queue/)
})
