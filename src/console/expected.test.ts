import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LiveRun } from '#protocol/timeline.ts'
import { allowanceOf, isOverdue, type SeenRun } from './expected.ts'
import { latenessText } from './parts/lateness.ts'

const nowMs = Date.parse('2026-11-22T12:00:00Z')
const minutes = (count: number) => count * 60_000

const node = (provision_state: 'deploying' | 'wait call-back' | 'active' | 'verifying', minutesAgo: number) => ({
  provision_state,
  provision_updated_at: new Date(nowMs - minutes(minutesAgo)).toISOString(),
})

/** A deployment that has worked for so many seconds when it was read, a minute ago. */
const seen = (more: Partial<LiveRun> = {}): SeenRun => ({
  readAtMs: nowMs - minutes(1),
  run: {
    ...{ id: 1, node_uuid: 'n', kind: 'deploy', started_at: '', model: 'Dell R650' },
    ...{ work_s: 300, is_waiting: false, runs_known: 14, expected_s: 240, late_after_s: 330, is_late: false },
    ...more,
  },
})

test('the history of its model says how long the whole run may take, and its clock goes on after it was read', () => {
  const allowance = allowanceOf(node('deploying', 2), seen(), nowMs)
  assert.deepEqual([allowance?.by, allowance?.spentMs, allowance?.allowedMs], ['history', 360_000, 330_000])
  assert.equal(isOverdue(node('deploying', 2), seen(), nowMs), true)
  assert.equal(isOverdue(node('deploying', 2), seen({ late_after_s: 400 }), nowMs), false)
  assert.equal(
    allowance && latenessText(allowance),
    'deploy for 6 min; expected 5 min 30 s at most, by 14 earlier runs of Dell R650',
  )
})

test('without a history the time in the state counts, by default', () => {
  const fresh = seen({ runs_known: 2, expected_s: 240, late_after_s: null })
  assert.equal(isOverdue(node('deploying', 29), fresh, nowMs), false)
  assert.equal(isOverdue(node('deploying', 31), fresh, nowMs), true)
  assert.equal(isOverdue(node('deploying', 31), undefined, nowMs), true)
  assert.equal(isOverdue(node('verifying', 3), undefined, nowMs), true)
  const told = (run: SeenRun | undefined) => {
    const allowance = allowanceOf(node('deploying', 31), run, nowMs)
    return allowance && latenessText(allowance)
  }
  assert.match(
    told(fresh) ?? '',
    /^in its state for 31 min; expected 30 min at most, by default: only 2 earlier runs of/,
  )
  assert.match(told(undefined) ?? '', /at most, by default$/)
})

test('who rests or waits for others is not late', () => {
  assert.equal(allowanceOf(node('active', 100_000), undefined, nowMs), undefined)
  assert.equal(allowanceOf(node('active', 100_000), seen(), nowMs), undefined)
  assert.equal(allowanceOf(node('wait call-back', 1000), seen({ is_waiting: true }), nowMs), undefined)
  const unmoved = { provision_state: 'deploying', provision_updated_at: null } as const
  assert.equal(allowanceOf(unmoved, undefined, nowMs), undefined)
})
