import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { linkedSignal } from './linked-signal.ts'

test('it aborts with the first of its sources, for its reason', () => {
  const [one, other] = [new AbortController(), new AbortController()]
  using linked = linkedSignal(one.signal, other.signal)
  assert.equal(linked.signal.aborted, false)
  const reason = new Error('enough')
  other.abort(reason)
  one.abort(new Error('too late'))
  assert.equal(linked.signal.reason, reason)
})

test('of a source that has aborted already it is aborted from the start', () => {
  using linked = linkedSignal(new AbortController().signal, AbortSignal.abort('before'))
  assert.equal(linked.signal.reason, 'before')
})

test('once disposed it has left nothing with its sources, and follows them no more', () => {
  const source = new AbortController()
  const linked = linkedSignal(source.signal)
  assert.equal(getEventListeners(source.signal, 'abort').length, 1)
  linked[Symbol.dispose]()
  assert.equal(getEventListeners(source.signal, 'abort').length, 0)
  source.abort()
  assert.equal(linked.signal.aborted, false)
})
