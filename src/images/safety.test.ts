import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DiskFormat } from '#lib/disk-format.ts'
import { refuseDiskInPartition, refuseUnfit } from './safety.ts'

const permitted = ['raw', 'gpt', 'qcow2', 'iso']
const found = (format: DiskFormat, ...dangers: string[]) => ({ format, virtualSizeBytes: 1, dangers })

describe('what is found against what is declared', () => {
  for (const [format, declared, message] of [
    ['qcow2', 'qcow2', null],
    ['qcow2', null, null],
    ['qcow2', '', null],
    ['raw', 'raw', null],
    ['gpt', 'raw', null],
    ['raw', 'gpt', null],
    ['raw', 'ami', null],
    ['iso', 'iso', null],
    ['qcow2', 'raw', /its content is qcow2, but image_disk_format says raw/],
    ['raw', 'qcow2', /its content is raw, but image_disk_format says qcow2/],
    ['gpt', 'qcow2', /its content is gpt/],
    ['iso', 'raw', /its content is iso/],
    ['vhd', 'vpc', /its format is vhd; expected one of \[conductor\] permitted_image_formats \(raw, gpt, qcow2, iso\)/],
    ['vmdk', 'vmdk', /its format is vmdk/],
  ] as const) {
    test(`${format} declared as ${declared}`, () => {
      const refuse = () => refuseUnfit(found(format), { declared, permitted, deep: true }, 'x')
      if (message === null) refuse()
      else assert.throws(refuse, { code: 'image-refused', message })
    })
  }

  test('dangers come first, and count whatever is permitted; without inspection nothing does', () => {
    const rules = { declared: 'qcow2', permitted, deep: true }
    const dangerous = found('qcow2', 'names a backing file', 'is encrypted')
    assert.throws(() => refuseUnfit(dangerous, rules, 'x'), {
      message: /it names a backing file, and is encrypted; expected a plain image in one file/,
    })
    refuseUnfit(dangerous, { ...rules, deep: false }, 'x')
  })

  test('where VHD is permitted both of its names are right', () => {
    for (const declared of ['vpc', 'vhd']) {
      refuseUnfit(found('vhd'), { declared, permitted: ['vhd'], deep: true }, 'x')
    }
  })
})

test('an image of a whole disk is no partition image', () => {
  const partition = { image_type: 'partition' }
  assert.throws(() => refuseDiskInPartition('gpt', partition, 'x'), { message: /it has a partition table; expected a/ })
  assert.throws(() => refuseDiskInPartition('iso', partition, 'x'), { message: /it is an ISO image/ })
  for (const format of ['raw', 'qcow2', null]) refuseDiskInPartition(format, partition, 'x')
  refuseDiskInPartition('gpt', {}, 'x')
})
