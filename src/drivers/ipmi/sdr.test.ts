/** Records of sensors and what raw readings mean, against values worked out by hand from the formulas. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Analog, decodeFactors, decodeSensorRecord, readingOf } from './sdr.ts'
import { healthOf, typeOf } from './sensors.ts'

const analog = (given: Partial<Analog> = {}): Analog => ({
  format: 'unsigned',
  unit: 1,
  isPercentage: false,
  linearization: 0,
  factors: { m: 1, b: 0, bExponent: 0, rExponent: 0 },
  ...given,
})

const readings: readonly (readonly [string, Partial<Analog>, number, number | undefined])[] = [
  ['as it is', {}, 200, 200],
  ["two's complement", { format: "two's complement" }, 0xfd, -3],
  ["one's complement", { format: "one's complement" }, 0xfd, -2],
  ['fans: 75 a step', { factors: { m: 75, b: 0, bExponent: 0, rExponent: 0 } }, 58, 4350],
  ['volts: 0.03 a step, from -2', { factors: { m: 3, b: -2, bExponent: 2, rExponent: -2 } }, 100, 1],
  ['negative factor', { factors: { m: -1, b: 127, bExponent: 0, rExponent: 0 } }, 60, 67],
  ['1/x', { linearization: 7, factors: { m: 2, b: 0, bExponent: 0, rExponent: 0 } }, 4, 0.125],
  ['1/0', { linearization: 7 }, 0, undefined],
  ['square', { linearization: 8 }, 12, 144],
  ['root', { linearization: 10 }, 144, 12],
  ['cube root', { linearization: 11 }, 27, 3],
  ['10^x', { linearization: 5 }, 2, 100],
  ['ln 0', { linearization: 1 }, 0, undefined],
  ['a formula that nobody knows', { linearization: 0x30 }, 5, undefined],
  ['factors of its own for each reading', { linearization: 0x70 }, 5, 5],
]
for (const [name, given, raw, expected] of readings) {
  test(`reading: ${name}`, () => assert.equal(readingOf(analog(given), raw), expected))
}

test('factors of ten bits and exponents of four are signed', () => {
  const factors = decodeFactors(Buffer.from([0x9c, 0xc0, 0x38, 0xc0, 0x00, 0xef]))
  assert.deepEqual(factors, { m: -100, b: -200, bExponent: -1, rExponent: -2 })
})

const full = (changes: Record<number, number>, name: Buffer): Buffer => {
  const record = Buffer.alloc(48)
  record.set([1, 0, 0x51, 1, 0, 0x20, 0, 9, 3, 1, 0, 0, 1, 1])
  for (const [at, value] of Object.entries(changes)) record[Number(at)] = value
  return Buffer.concat([record, name])
}

test('names are read in all four codes, without what cannot be shown', () => {
  const name = (head: number, bytes: Buffer) => decodeSensorRecord(full({ 47: head }, bytes))?.name
  assert.equal(name(0xc4, Buffer.from('CPU1')), 'CPU1')
  assert.equal(name(0xc5, Buffer.from('A\u0000\u001bB ')), 'AB')
  assert.equal(name(0x42, Buffer.from([0x12, 0xab])), '12 -')
  assert.equal(name(0x83, Buffer.from('29dca6', 'hex')), 'IPMI', 'the example of the specification')
  assert.equal(name(0xc0, Buffer.alloc(0)), 'sensor 9')
})

test('kinds of records that describe no readable sensor are passed over', () => {
  assert.equal(decodeSensorRecord(full({ 3: 0x11 }, Buffer.alloc(0))), undefined)
  assert.equal(decodeSensorRecord(full({}, Buffer.alloc(0)).subarray(0, 40)), undefined)
  assert.equal(decodeSensorRecord(full({ 20: 0xc0 }, Buffer.alloc(0)))?.analog, null, 'no analogue format')
  fc.assert(fc.property(fc.uint8Array({ maxLength: 70 }), bytes => void decodeSensorRecord(Buffer.from(bytes))))
})

test('what is told under which type, and which states are bad', () => {
  const record = (changes: Record<number, number>) => {
    const found = decodeSensorRecord(full(changes, Buffer.alloc(0)))
    assert.ok(found)
    return found
  }
  assert.equal(typeOf(record({})), 'Temperature')
  assert.equal(typeOf(record({ 12: 4 })), 'Fan')
  assert.equal(typeOf(record({ 12: 0x0b, 21: 6 })), 'Power')
  assert.equal(typeOf(record({ 12: 2, 21: 4 })), undefined, 'volts have no place')
  assert.equal(typeOf(record({ 12: 0x0d, 13: 0x6f })), 'Drive')
  assert.equal(typeOf(record({ 12: 8, 13: 0x6f })), 'Power')
  const thresholds = { type: 1, eventType: 1 }
  assert.deepEqual(
    [0, 0x01, 0x08, 0x10, 0x18, 0x24].map(states => healthOf(thresholds, states)),
    ['OK', 'Warning', 'Warning', 'Critical', 'Critical', 'Critical'],
  )
  const supply = { type: 8, eventType: 0x6f }
  assert.deepEqual(
    [1, 3, 5, 9].map(states => healthOf(supply, states)),
    ['OK', 'Critical', 'Warning', 'Critical'],
  )
  assert.equal(healthOf({ type: 0x23, eventType: 0x6f }, 1), undefined)
})
