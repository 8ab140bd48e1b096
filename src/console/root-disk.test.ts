import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Disk } from '#protocol/agent.ts'
import { rootDisk } from './root-disk.ts'

const disk = (name: string, gib: number, more: Partial<Disk> = {}): Disk => ({
  name,
  model: null,
  size: gib * 1024 ** 3,
  rotational: false,
  wwn: null,
  serial: null,
  vendor: null,
  wwn_with_extension: null,
  wwn_vendor_extension: null,
  hctl: null,
  by_path: null,
  logical_sectors: null,
  physical_sectors: null,
  tran: null,
  ...more,
})
const disks = [disk('/dev/sda', 2), disk('/dev/sdb', 900, { serial: 'S1', rotational: true }), disk('/dev/sdc', 450)]
const node = (root_device?: unknown, instance?: unknown) => ({
  properties: root_device === undefined ? {} : { root_device },
  instance_info: instance === undefined ? {} : { root_device: instance },
})
const told = (found: ReturnType<typeof rootDisk>) => found.verdicts.map(({ isChosen, reason }) => [isChosen, reason])

test('without hints: the smallest of those that are large enough', () => {
  const found = rootDisk(node(), disks)
  assert.deepEqual(told(found), [
    [false, 'It is smaller than 4 GiB'],
    [false, '/dev/sdc is smaller, or first by name'],
    [true, 'No root device hints are set: it is the smallest disk of at least 4 GiB'],
  ])
  assert.equal(found.from, null)
  assert.equal(rootDisk(node(), [disk('/dev/sda', 2)]).problem, 'No disk has 4 GiB')
})

test('with hints: each is put to each disk, and those of the instance count first', () => {
  const found = rootDisk(node({ serial: 'S9' }, '{"serial": "s1", "rotational": true}'), disks)
  assert.equal(found.from, 'instance_info')
  assert.deepEqual(told(found)[1], [true, 'It is the first that matches every hint'])
  assert.deepEqual(told(found)[2], [false, 'Does not match serial, rotational'])
  assert.deepEqual(
    found.verdicts[1]?.hints.map(({ name, holds }) => [name, holds]),
    [
      ['serial', true],
      ['rotational', true],
    ],
  )
  const several = rootDisk(node({ size: '>= 400' }), disks)
  assert.deepEqual(told(several)[2], [false, 'Matches, too, but /dev/sdb comes first'])
})

test('hints that nobody can read, or no disk has, are a problem', () => {
  assert.match(rootDisk(node({ serial: 'S9' }), disks).problem ?? '', /No disk matches every hint/)
  assert.match(rootDisk(node({ colour: 'red' }), disks).problem ?? '', /Cannot read root device hint colour/)
  for (const wrong of ['{', '[]', 7, 'null']) {
    const found = rootDisk(node(wrong), disks)
    assert.match(found.problem ?? '', /properties root_device is no object/, String(wrong))
    assert.ok(found.verdicts.every(verdict => !verdict.isChosen))
  }
})
