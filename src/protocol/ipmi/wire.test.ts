/** The wire format, against known bytes, and against its own mirror. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cipherSuites } from './cipher-suites.ts'
import { decodeMessage, encodeMessage, responseTo } from './message.ts'
import { decodePacket, encodePing, encodePong, encodeSession15, payloadTypes, plain15, plain20 } from './packet.ts'
import { type Exchange, sessionKeys } from './rakp.ts'
import { authCode15, SequenceWindow, seal15, seal20 } from './sealing.ts'

test('a question for the ways to open a session is laid out as other programs send it', () => {
  const data = Uint8Array.of(0x8e, 0x04)
  const message = { to: 0x20, toLun: 0, netFn: 6, from: 0x81, fromLun: 0, seq: 0, command: 0x38, data }
  const captured = '0600ff07000000000000000000092018c88100388e04b5'
  assert.equal(plain15(encodeMessage(message)).toString('hex'), captured)
  assert.equal(encodePing(0xff).toString('hex'), '0600ff06000011be80ff0000')
})

test('a message reads back as it was written, and a flipped bit is noticed', () => {
  const byte = fc.integer({ min: 0, max: 255 })
  const messages = fc.record({
    to: byte,
    toLun: fc.integer({ min: 0, max: 3 }),
    netFn: fc.integer({ min: 0, max: 63 }),
    from: byte,
    fromLun: fc.integer({ min: 0, max: 3 }),
    seq: fc.integer({ min: 0, max: 63 }),
    command: byte,
    data: fc.uint8Array({ maxLength: 40 }),
  })
  fc.assert(
    fc.property(messages, fc.nat(), (message, where) => {
      const bytes = encodeMessage(message)
      assert.deepEqual({ ...decodeMessage(bytes), data: undefined }, { ...message, data: undefined })
      assert.deepEqual([...(decodeMessage(bytes)?.data ?? [])], [...message.data])
      const answer = responseTo(message, Uint8Array.of(0))
      assert.deepEqual([answer.to, answer.from, answer.netFn & 1], [message.from, message.to, 1])
      const broken = Buffer.from(bytes)
      const at = where % broken.length
      broken[at] = (broken[at] ?? 0) ^ (1 << (where % 8))
      assert.equal(decodeMessage(broken), undefined)
    }),
  )
})

test('no datagram breaks the reader', () => {
  const heads = fc.constantFrom('', '0600ff06', '0600ff07', '0600ff0706', '0600ff0700', '0600ff070640')
  fc.assert(
    fc.property(heads, fc.uint8Array({ maxLength: 80 }), (head, rest) => {
      decodePacket(Buffer.concat([Buffer.from(head, 'hex'), rest]))
    }),
    { numRuns: 2000 },
  )
  assert.deepEqual(decodePacket(encodePong(7)), { kind: 'pong', tag: 7, speaksIpmi: true })
  assert.equal(decodePacket(plain20(0, Buffer.alloc(10)).subarray(0, 20)), undefined, 'shorter than it says')
  const code = { authType: 2, seq: 1, sessionId: 2, authCode: Buffer.alloc(16), payload: Buffer.alloc(7) }
  assert.equal(decodePacket(encodeSession15(code).subarray(0, 25)), undefined)
})

const ids = { own: 11, other: 22 }
const exchange = (id: number): Exchange => {
  const suite = cipherSuites.get(id)
  assert.ok(suite)
  const random = (fill: number) => Buffer.alloc(16, fill)
  const who = { role: 0x14, user: Buffer.from('admin'), password: Buffer.alloc(20, 7), bmcKey: null }
  return { suite, consoleId: 11, bmcId: 22, consoleRandom: random(1), bmcRandom: random(2), bmcGuid: random(3), ...who }
}

for (const id of cipherSuites.keys()) {
  test(`what cipher suite ${id} seals opens at the other end, once, and not when it was touched`, () => {
    const known = exchange(id)
    const here = seal20(known.suite, sessionKeys(known), ids)
    const there = seal20(known.suite, sessionKeys(known), { own: ids.other, other: ids.own })
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(), (bytes, where) => {
        const datagram = here.seal(payloadTypes.message, Buffer.from(bytes))
        if (known.suite.integrity.id !== 0) {
          const touched = Buffer.from(datagram)
          // After the RMCP header: nothing of that is signed.
          const at = 4 + (where % (touched.length - 4))
          touched[at] = (touched[at] ?? 0) ^ 0x10
          const packet = decodePacket(touched)
          assert.equal(packet && there.open(packet), undefined)
        }
        const packet = decodePacket(datagram)
        assert.ok(packet)
        assert.deepEqual([...(there.open(packet)?.payload ?? [])], [...bytes])
        assert.equal(there.open(packet), undefined, 'the same packet again')
      }),
      { numRuns: 50 },
    )
    if (known.suite.confidentiality.id !== 0) {
      const text = Buffer.from('nobody else is to read this')
      assert.equal(here.seal(0, text).includes(text), false)
    }
    const plain = decodePacket(plain20(payloadTypes.message, Buffer.from('x')))
    assert.equal(plain && there.open(plain), undefined, 'outside the session')
  })
}

test('a session of IPMI 1.5 proves its packets with MD5, counted from the number that the BMC gave', () => {
  const password = Buffer.alloc(16, 5)
  const one = { authType: 2, id: 77, password, isSigned: true }
  const here = seal15({ ...one, firstSeq: 0xffffffff })
  const there = seal15({ ...one, firstSeq: 1 })
  const seqs = [1, 2].map(() => {
    const packet = decodePacket(here.seal(0, Buffer.from('question')))
    assert.ok(packet && packet.kind === '1.5' && there.open(packet))
    const forged = { ...packet, seq: (packet.seq + 5) >>> 0 }
    assert.equal(there.open(forged), undefined)
    const unsigned = { ...packet, authType: 0, authCode: null, seq: (packet.seq + 6) >>> 0 }
    assert.equal(there.open(unsigned), undefined)
    return packet.seq
  })
  assert.deepEqual(seqs, [0xffffffff, 1])
  assert.equal(authCode15({ authType: 0, sessionId: 1, seq: 1, payload: password, password }), null)
})

test('sequence numbers: late ones count once within 16, no older ones, over the end of the numbers', () => {
  const window = new SequenceWindow()
  const taken = (seqs: number[]) => seqs.filter(seq => window.take(seq))
  assert.deepEqual(taken([0, 1, 1, 3, 2, 2, 3]), [1, 3, 2])
  assert.deepEqual(taken([100, 85, 84, 85, 99, 100]), [100, 85, 99])
  assert.deepEqual(taken([0xfffffffe].filter(seq => new SequenceWindow().take(seq))), [], 'far behind')
  const atEnd = new SequenceWindow()
  const order = [0xfffffffe, 2, 0xffffffff, 0xffffffff, 1]
  assert.deepEqual(
    order.filter(seq => atEnd.take(seq)),
    [0xfffffffe, 2, 0xffffffff, 1],
  )
})
