import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockDevice } from './block-devices.ts'
import { chooseRootDevice, hintsOf, matching } from './root-device.ts'

const GIB = 1024 ** 3
const disk = (name: string, changes: Partial<BlockDevice> = {}): BlockDevice => ({
  name,
  model: 'SAMSUNG MZ7LH480',
  size: 480_103_981_056,
  rotational: false,
  wwn: '0x5002538e40a1b2c3',
  serial: 'S45PNA0M512345',
  vendor: 'ATA',
  wwn_with_extension: '0x5002538e40a1b2c3aa',
  wwn_vendor_extension: null,
  hctl: '0:0:0:0',
  by_path: '/dev/disk/by-path/pci-0000:00:17.0-ata-1',
  logical_sectors: 512,
  physical_sectors: 4096,
  tran: 'sata',
  serials: ['S45PNA0M512345', 'SAMSUNG_MZ7LH480_S45PNA0M512345'],
  wwns: ['0x5002538e40a1b2c3', '0x5002538e40a1b2c3aa'],
  ...changes,
})
const sda = disk('/dev/sda')
const sdb = disk('/dev/sdb', {
  size: 4 * GIB,
  model: 'QEMU HARDDISK',
  rotational: true,
  hctl: null,
  serials: [],
  serial: null,
})
const vda = disk('/dev/vda', { size: 2 * GIB, tran: 'virtio', vendor: '0x1af4' })
const all = [sda, sdb, vda]

for (const [hints, expected] of [
  [{ name: '/dev/sdb' }, ['/dev/sdb']],
  [{ name: 's== /dev/SDB' }, ['/dev/sdb']],
  [{ name: 's!= /dev/sda' }, ['/dev/sdb', '/dev/vda']],
  [{ name: 's>= /dev/sdb' }, ['/dev/sdb', '/dev/vda']],
  [{ name: 's< /dev/sdb' }, ['/dev/sda']],
  [{ name: 's<= /dev/sdb' }, ['/dev/sda', '/dev/sdb']],
  [{ name: 's>/dev/sda' }, ['/dev/sdb', '/dev/vda']],
  [{ model: '<in> qemu' }, ['/dev/sdb']],
  [{ model: '<in>samsung mz' }, ['/dev/sda', '/dev/vda']],
  [{ model: '<or> none <or> QEMU HARDDISK' }, ['/dev/sdb']],
  [{ model: 'qemu harddisk' }, ['/dev/sdb']],
  [{ model: 'qemu' }, []],
  [{ name: '<or> /dev/sda <or> /dev/vda' }, ['/dev/sda', '/dev/vda']],
  [{ serial: 'samsung_mz7lh480_s45pna0m512345' }, ['/dev/sda', '/dev/vda']],
  [{ serial: 'none' }, ['/dev/sdb']],
  [{ hctl: 'none' }, ['/dev/sdb']],
  [{ wwn: '0x5002538e40a1b2c3aa', name: '/dev/sda' }, ['/dev/sda']],
  [{ hctl: '0:0:0:0', by_path: '<in> ata-1' }, ['/dev/sda', '/dev/vda']],
  [{ wwn_with_extension: '<in> c3aa', wwn_vendor_extension: 'none', size: '< 3' }, ['/dev/vda']],
  [{ tran: 'virtio' }, ['/dev/vda']],
  [{ vendor: '0x1AF4' }, ['/dev/vda']],
  [{ rotational: true }, ['/dev/sdb']],
  [{ rotational: 'no' }, ['/dev/sda', '/dev/vda']],
  [{ size: 4 }, ['/dev/sdb']],
  [{ size: 447 }, []],
  [{ size: '>= 4' }, ['/dev/sda', '/dev/sdb']],
  [{ size: '> 4' }, ['/dev/sda']],
  [{ size: '<4' }, ['/dev/vda']],
  [{ size: '== 2' }, ['/dev/vda']],
  [{ size: '<range-in> ( 2 500 ]' }, ['/dev/sda', '/dev/sdb']],
  [{ size: '= 4' }, ['/dev/sda', '/dev/sdb']],
  [{ size: '<= 4' }, ['/dev/sdb', '/dev/vda']],
  [{ size: '!= 4' }, ['/dev/sda', '/dev/vda']],
  [{ size: '<range-in> [ 2 4 ]' }, ['/dev/sdb', '/dev/vda']],
  [{ size: '<range-in> [ 2 4 )' }, ['/dev/vda']],
  [{ size: '>= 4', rotational: true }, ['/dev/sdb']],
] satisfies [Record<string, unknown>, string[]][]) {
  test(`hints ${JSON.stringify(hints)}`, () => {
    assert.deepEqual(
      matching(all, hints).map(({ name }) => name),
      expected,
    )
  })
}

for (const [hints, message] of [
  [{ colour: 'red' }, /hint colour: found "red", expected one of size/],
  [{ size: '4.5' }, /hint size: found "4.5", expected a positive whole number/],
  [{ size: 0 }, /hint size/],
  [{ size: '-1' }, /hint size/],
  [{ rotational: 'maybe' }, /hint rotational/],
  [{ model: 7 }, /hint model: found 7, expected a text/],
] satisfies [Record<string, unknown>, RegExp][]) {
  test(`bad hints ${JSON.stringify(hints)} are named`, () => {
    assert.throws(() => matching(all, hints), { type: 'DeviceNotFound', message })
  })
}

test('without hints: the smallest disk of at least 4 GiB, by name when equal', () => {
  assert.equal(chooseRootDevice(all, {}).name, '/dev/sdb')
  assert.equal(chooseRootDevice([disk('/dev/sdz'), disk('/dev/sdc')], {}).name, '/dev/sdc')
  assert.throws(() => chooseRootDevice([vda], {}), { type: 'DeviceNotFound', message: /\/dev\/vda \(2147483648 bytes/ })
})

test('hints that match nothing are an error, never any other disk', () => {
  assert.throws(() => chooseRootDevice(all, { serial: 'X' }), { type: 'DeviceNotFound', message: /"serial":"X"/ })
})

test('hints of the instance come before those of the node', () => {
  const node = { uuid: 'u', properties: { root_device: { name: 'a' } }, instance_info: {} }
  assert.deepEqual(hintsOf(node), { name: 'a' })
  assert.deepEqual(hintsOf({ ...node, instance_info: { root_device: { name: 'b' } } }), { name: 'b' })
  assert.deepEqual(hintsOf(null), {})
  assert.throws(() => hintsOf({ ...node, properties: { root_device: 'a' } }), /expected an object/)
})
