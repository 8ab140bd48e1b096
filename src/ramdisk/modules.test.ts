import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseModules, moduleName, readModuleIndex } from './modules.ts'

const index = readModuleIndex({
  dep: [
    'kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko',
    'kernel/fs/jbd2/jbd2.ko:',
    'kernel/lib/crc16.ko:',
    'kernel/lib/libcrc32c.ko:',
    'kernel/crypto/crc32c_generic.ko:',
    'kernel/drivers/net/ethernet/a/a-nic.ko: kernel/drivers/net/mdio.ko',
    'kernel/drivers/net/ethernet/b/b_nic.ko.xz:',
    'kernel/drivers/net/mdio.ko:',
  ].join('\n'),
  builtin: 'kernel/drivers/virtio/virtio-pci.ko\n',
  softdep: '# comment\nsoftdep libcrc32c pre: crc32c\nsoftdep ext4 pre: crc32c post: no_such\n',
  alias: 'alias pci:v*d* a_nic\nalias crc32c crc32c_generic\nalias crypto-crc32c crc32c_generic\n',
})

test('takes what a module needs, and what it would like where that exists', () => {
  const { paths, unknown } = chooseModules(index, { names: ['ext4'], match: [], exclude: [] })
  assert.deepEqual(paths, [
    'kernel/crypto/crc32c_generic.ko',
    'kernel/fs/ext4/ext4.ko',
    'kernel/fs/jbd2/jbd2.ko',
    'kernel/lib/crc16.ko',
  ])
  assert.deepEqual(unknown, [])
})

test('takes - and _ for one, and built-in for present', () => {
  const choice = { names: ['a_nic', 'b-nic', 'virtio_pci', 'nothing'], match: [], exclude: [] }
  const { paths, unknown } = chooseModules(index, choice)
  assert.deepEqual(paths, [
    'kernel/drivers/net/ethernet/a/a-nic.ko',
    'kernel/drivers/net/ethernet/b/b_nic.ko.xz',
    'kernel/drivers/net/mdio.ko',
  ])
  assert.deepEqual(unknown, ['nothing'])
})

test('leaves out what is excluded unless it is needed', () => {
  const choice = { names: [], match: [/ethernet/], exclude: [/b_nic/, /mdio/] }
  assert.deepEqual(chooseModules(index, choice).paths, [
    'kernel/drivers/net/ethernet/a/a-nic.ko',
    'kernel/drivers/net/mdio.ko',
  ])
})

test('names a module by its file', () => {
  assert.equal(moduleName('kernel/drivers/net/virtio-net.ko.zst'), 'virtio_net')
})
