/** Requests to controllers behind a BMC: how they are wrapped, and which answers count. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMessage, encodeMessage, responseTo } from '#protocol/ipmi/message.ts'
import { encodeRequest, type Route, readAnswer } from './route.ts'

const request = { netFn: 0x06, command: 0x01, data: [], lun: 2 }
const single: Route = { target: { channel: 7, address: 0x72 }, transit: null, localAddress: 0x20 }
const dual: Route = { ...single, transit: { channel: 0, address: 0x82 }, localAddress: 0x3a }

function decoded(bytes: Uint8Array) {
  const message = decodeMessage(bytes)
  assert.ok(message)
  const { to, from, netFn, command, seq, toLun } = message
  return { data: message.data, told: { to, from, netFn, command, seq, toLun }, message }
}

const passOn = { netFn: 0x06, command: 0x34, seq: 9, toLun: 0 }
const asked = { netFn: 0x06, command: 0x01, seq: 9, toLun: 2 }

test('one controller behind the BMC: the request within one that passes it on', () => {
  const outer = decoded(encodeRequest(single, request, 9))
  assert.deepEqual(outer.told, { to: 0x20, from: 0x81, ...passOn })
  assert.equal(outer.data[0], 0x47, 'tracked, on the channel of the target')
  assert.deepEqual(decoded(outer.data.subarray(1)).told, { to: 0x72, from: 0x20, ...asked })
})

test('one behind another: the transit passes on what passes on', () => {
  const outer = decoded(encodeRequest(dual, request, 9))
  assert.deepEqual(outer.told, { to: 0x20, from: 0x81, ...passOn })
  assert.equal(outer.data[0], 0x40)
  const between = decoded(outer.data.subarray(1))
  assert.deepEqual(between.told, { to: 0x82, from: 0x3a, ...passOn })
  assert.equal(between.data[0], 0x47)
  assert.deepEqual(decoded(between.data.subarray(1)).told, { to: 0x72, from: 0x3a, ...asked })
})

test('answers: of its own, or within the answer of who passed it on; "passed on" alone is none yet', () => {
  const { message: outer } = decoded(encodeRequest(dual, request, 9))
  const own = encodeMessage({ ...responseTo({ ...outer, ...asked }, Uint8Array.of(0, 5, 6)) })
  const read = (payload: Buffer, seq = 9) => {
    const answer = readAnswer(dual, request, seq, payload)
    return answer && [answer.completion, ...answer.data]
  }
  const passed = (data: Uint8Array) => encodeMessage(responseTo(outer, Uint8Array.of(0, ...data)))
  assert.equal(read(passed(Uint8Array.of())), undefined)
  assert.deepEqual(read(own), [0, 5, 6])
  assert.deepEqual(read(passed(own)), [0, 5, 6])
  assert.deepEqual(read(passed(passed(own))), [0, 5, 6], 'within both')
  assert.deepEqual(read(encodeMessage(responseTo(outer, Uint8Array.of(0x83)))), [0x83], 'it could not be passed on')
  assert.equal(read(own, 10), undefined, 'to another question')
  assert.equal(read(passed(Uint8Array.of(1, 2, 3))), undefined, 'no message')
  const other = encodeMessage({ ...responseTo({ ...outer, ...asked, command: 0x02 }, Uint8Array.of(0)) })
  assert.equal(read(other), undefined)
})
