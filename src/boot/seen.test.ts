/** What transfers and DHCP messages are in a boot, for each loader. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seenInEvent, seenInTransfer } from './seen.ts'

const mac = '52:54:00:aa:00:01'
const nodeUuid = '11111111-2222-4333-8444-555555555555'
const root = '/srv/tftp'

const overHttp = (path: string, status = 200, asker?: string) => {
  const file = { path, status, bytes: 7, sizeBytes: 7, seconds: 1, complete: true }
  return seenInTransfer({ ...file, method: 'GET', remoteAddress: '192.0.2.7', userAgent: null }, asker)
}
const byTftp = (file: string, outcome: 'sent' | 'not found' = 'sent') =>
  seenInEvent({ kind: 'tftp', outcome, file: `${root}/${file}`, ip: '192.0.2.7', mac }, root)

test('each file is a hop, over HTTP as by TFTP', () => {
  const files = [
    ['snponly.efi', { mac, hop: 'tftp' }],
    ['grub/grub.cfg', { mac, hop: 'ipxe' }],
    [`${mac}.conf`, { mac, hop: 'script' }],
    ['grub.cfg-01-52-54-00-aa-00-01', { mac, hop: 'script' }],
    ['pxelinux.cfg/01-52-54-00-aa-00-01', { mac, hop: 'script' }],
    ['pxelinux.cfg/52-54-00-aa-00-01', { mac, hop: 'script' }],
    [`${nodeUuid}/deploy_kernel`, { nodeUuid, hop: 'kernel' }],
    [`${nodeUuid}/ramdisk`, { nodeUuid, hop: 'ramdisk' }],
  ] as const
  for (const [file, wanted] of files) {
    const found = overHttp(`/${file}`, 200, mac)
    assert.deepEqual(found, { ...wanted, data: { path: `/${file}`, bytes: 7, seconds: 1 } }, file)
    // Who fetches by TFTP is known by the address.
    assert.deepEqual(byTftp(file), { mac, hop: wanted.hop, data: { file: `${root}/${file}` } }, file)
  }
  assert.deepEqual(byTftp('pxelinux.0'), { mac, hop: 'tftp', data: { file: `${root}/pxelinux.0` } })
  assert.equal(overHttp('/agent_images/x'), undefined)
  const iso = `/${nodeUuid}/vmedia/0f3a/boot.iso`
  assert.deepEqual(overHttp(iso), { nodeUuid, hop: 'medium', data: { path: iso, bytes: 7, seconds: 1 } })
  assert.equal(overHttp(iso, 206), undefined)
})

test('what loaders only try is no trouble; what they need is', () => {
  const tried = [
    'revocations_sbat.efi',
    'shim_certificate_0.efi',
    'isolinux/ldlinux.c32',
    'pxelinux.cfg/default',
    'pxelinux.cfg/564d8a2e-7c3e',
    'grub/x86_64-efi/command.lst',
    'boot/isolinux/ldlinux.c32',
  ]
  for (const file of tried) {
    assert.equal(byTftp(file, 'not found'), undefined, file)
    assert.equal(overHttp(`/${file}`, 404, mac), undefined, file)
  }
  const needed = ['snponly.efi', 'ldlinux.c32', 'grub/grub.cfg', 'pxelinux.cfg/01-52-54-00-aa-00-01']
  for (const file of needed) {
    const told = { what: 'tftp failed', file: `${root}/${file}`, outcome: 'not found' }
    assert.deepEqual(byTftp(file, 'not found'), { mac, trouble: told }, file)
    if (file.endsWith('.c32')) continue
    const http = { what: 'http failed', path: `/${file}`, status: 404, bytes: 7, sizeBytes: 7 }
    assert.deepEqual(overHttp(`/${file}`, 404, mac), { mac, trouble: http }, file)
  }
})

test('DHCP messages are hops, refusals are trouble', () => {
  const message = { kind: 'dhcp', interface: 'v0', mac, ip: null, vendorClass: null, detail: null } as const
  assert.equal((seenInEvent({ ...message, message: 'discover' }, root) as { hop: string }).hop, 'dhcp discover')
  assert.equal(seenInEvent({ ...message, message: 'inform' }, root), undefined)
  for (const refused of [{ message: 'nak' }, { message: 'discover', detail: 'no address available' }] as const) {
    assert.ok('trouble' in (seenInEvent({ ...message, ...refused }, root) ?? {}))
  }
})
