import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { unreadAnswers } from './unread.ts'

const mib = 1024 * 1024

/** A connection, as far as it is looked at. */
class Connection extends EventEmitter {
  destroyed = false
  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }
  /** An answer on it. */
  answer(): ServerResponse {
    return Object.assign(new EventEmitter(), { req: { socket: this } }) as unknown as ServerResponse
  }
}

test('answers count until they were taken, or their connection is gone', () => {
  const unread = unreadAnswers({ mostBytes: 3 * mib, patienceMs: 60_000 })
  const [first, second] = [new Connection(), new Connection()]
  const [one, two, three] = [first.answer(), first.answer(), second.answer()]
  unread.hold(one, 2 * mib)
  unread.hold(two, mib)
  assert.equal(unread.isFull(), false)
  two.emit('close')
  unread.hold(three, 2 * mib)
  assert.equal(unread.isFull(), true)
  one.emit('close')
  assert.equal(unread.isFull(), false)
  const four = first.answer()
  unread.hold(four, 2 * mib)
  assert.equal(unread.isFull(), true)
  second.destroy()
  three.emit('close')
  assert.equal(unread.isFull(), false)
  unread.hold(new Connection().answer(), mib)
  assert.equal(unread.isFull(), false, 'nothing was counted off twice')
  unread.hold(new Connection().answer(), mib)
  assert.equal(unread.isFull(), true)
})

test('short answers do not count', () => {
  const unread = unreadAnswers({ mostBytes: 0 })
  unread.hold(new Connection().answer(), 1000)
  assert.equal(unread.isFull(), false)
})

test('while there is no room, a connection that asked for more than it takes is closed', () => {
  const unread = unreadAnswers({ mostBytes: 3 * mib, patienceMs: 60_000 })
  const [fair, greedy] = [new Connection(), new Connection()]
  unread.hold(fair.answer(), 2 * mib)
  unread.hold(greedy.answer(), mib)
  unread.hold(greedy.answer(), mib)
  assert.equal(unread.isFull(), false)
  assert.deepEqual([fair.destroyed, greedy.destroyed], [false, true])
})

test('a connection that makes no room for too long is closed, but only while there is none', async () => {
  const unread = unreadAnswers({ mostBytes: 3 * mib, patienceMs: 20 })
  const [slow, fresh] = [new Connection(), new Connection()]
  unread.hold(slow.answer(), 2 * mib)
  await new Promise(resolve => setTimeout(resolve, 40))
  assert.equal(unread.isFull(), false)
  assert.equal(slow.destroyed, false)
  unread.hold(fresh.answer(), 2 * mib)
  assert.equal(unread.isFull(), false)
  assert.deepEqual([slow.destroyed, fresh.destroyed], [true, false])
})
