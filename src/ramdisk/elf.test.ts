import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { test } from 'node:test'
import { readElf } from './elf.ts'

const noReadelf = spawnSync('readelf', ['--version']).error !== undefined && 'needs readelf of binutils'

test('finds the same libraries and loader as readelf', { skip: noReadelf }, () => {
  for (const program of [process.execPath, '/usr/bin/env', '/usr/bin/apt-get']) {
    const file = realpathSync(program)
    const shown = execFileSync('readelf', ['-W', '-l', '-d', file], { encoding: 'utf8', maxBuffer: 1 << 24 })
    const needed = [...shown.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(match => match[1])
    const interpreter = /interpreter: (.+)\]/.exec(shown)?.[1]
    const elf = readElf(readFileSync(file))
    assert.ok(needed.length > 0)
    assert.deepEqual(elf?.needed, needed, file)
    assert.equal(elf?.interpreter, interpreter, file)
  }
})

test('takes what is no ELF file for none', () => {
  assert.equal(readElf(Buffer.from('#!/bin/sh\n')), undefined)
  assert.equal(readElf(Buffer.alloc(0)), undefined)
  const of32Bits = Buffer.alloc(64)
  of32Bits.write('\x7fELF\x01\x01', 'latin1')
  assert.equal(readElf(of32Bits), undefined)
})

test('reads a file that is cut off without failing', () => {
  const whole = readFileSync('/usr/bin/env')
  for (const length of [64, 100, 500, 4096, whole.length - 1]) readElf(whole.subarray(0, length))
})

test('reads library search paths', () => {
  const file = elfWith([
    [1, 1],
    [29, 11],
    [5, 0x1000],
    [0, 0],
  ])
  assert.deepEqual(readElf(file), {
    machine: 62,
    needed: ['libx.so.1'],
    searchPath: ['$ORIGIN/../lib', '/opt/lib'],
  })
})

/** A minimal file: header, one loadable segment with the strings, one dynamic segment. */
function elfWith(dynamic: [number, number][]): Buffer {
  const file = Buffer.alloc(0x300)
  file.write('\x7fELF\x02\x01\x01', 'latin1')
  file.writeUInt16LE(62, 18)
  file.writeBigUInt64LE(64n, 32)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(2, 56)
  const segment = (at: number, type: number, fields: { offset: number; address: number; size: number }) => {
    file.writeUInt32LE(type, at)
    file.writeBigUInt64LE(BigInt(fields.offset), at + 8)
    file.writeBigUInt64LE(BigInt(fields.address), at + 16)
    file.writeBigUInt64LE(BigInt(fields.size), at + 32)
  }
  segment(64, 1, { offset: 0x200, address: 0x1000, size: 0x100 })
  segment(120, 2, { offset: 0x100, address: 0x2000, size: dynamic.length * 16 })
  for (const [index, [tag, value]] of dynamic.entries()) {
    file.writeBigInt64LE(BigInt(tag), 0x100 + index * 16)
    file.writeBigUInt64LE(BigInt(value), 0x108 + index * 16)
  }
  file.write('\0libx.so.1\0$ORIGIN/../lib:/opt/lib\0', 0x200, 'latin1')
  return file
}
