/** What the `ramdisk` deploy interface takes as an instance, and what it refuses. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { BootInterface } from '../driver.ts'
import { testContext } from '../test-context.ts'
import ramdisk from './ramdisk-deploy.ts'

let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-ramdisk-deploy-'))
  for (const name of ['kernel', 'ramdisk', 'live.iso']) await writeFile(join(directory, name), name)
})
after(() => rm(directory, { recursive: true }))

async function validated(instance_info: object, boot: Partial<BootInterface> = { capabilities: ['ramdisk_boot'] }) {
  const ctx = await testContext({
    node: { instance_info: { ...instance_info }, boot_interface: 'some-boot' },
    interfaces: { boot: { validate: async () => {}, ...boot } as BootInterface }, // what validation uses of it
    config: { conductor: { file_url_allowed_paths: [directory] } },
  })
  await ramdisk.validate(ctx)
  return ramdisk.instanceBoot(ctx)
}

const file = (name: string) => `file://${directory}/${name}`

test('a kernel with its ramdisk, or an ISO, is an instance', async () => {
  const pair = { kernel: 'http://192.0.2.1/k', ramdisk: file('ramdisk') }
  assert.deepEqual(await validated({ ...pair, image_source: 'http://192.0.2.1/unused' }), {
    kind: 'ramdisk',
    ...pair,
    parameters: '',
  })
  const told = await validated({ ...pair, ramdisk_kernel_arguments: 'console=ttyS0\n a="b c"' })
  assert.deepEqual(told, { kind: 'ramdisk', ...pair, parameters: 'console=ttyS0 a="b c"' })
  assert.deepEqual(await validated({ boot_iso: file('live.iso') }), { kind: 'iso', iso: file('live.iso') })
})

const refusals: [what: string, info: object, message: RegExp][] = [
  ['nothing', {}, /instance_info has no kernel, ramdisk or boot_iso; expected kernel and ramdisk, or boot_iso/],
  ['half a pair', { kernel: 'http://192.0.2.1/k' }, /instance_info has no ramdisk; expected/],
  ['both ways', { boot_iso: 'http://a/i', image_source: 'http://a/i' }, /both image_source and boot_iso; expected one/],
  [
    'an image of a service',
    { boot_iso: '2d3b6c1e-3d5c-4d0e-9a55-000000000001' },
    /boot_iso names 2d3b.*expected an http/,
  ],
  ['a file of this host', { kernel: '/etc/hostname', ramdisk: '/etc/hostname' }, /outside of .*file_url_allowed_paths/],
  ['a file that is not there', { boot_iso: '/nowhere/x.iso' }, /boot_iso names .* not there or cannot be read/],
  [
    'a command of the boot script',
    { kernel: 'http://a/k', ramdisk: 'http://a/r', ramdisk_kernel_arguments: 'a=1 || shell' },
    /kernel parameters of instance_info\/ramdisk_kernel_arguments: found "\|\|"/,
  ],
  [
    'no text',
    { kernel: 'http://a/k', ramdisk: 'http://a/r', ramdisk_kernel_arguments: 7 },
    /it is a number, expected a/,
  ],
]
for (const [what, info, message] of refusals) {
  test(`refused: ${what}`, () => assert.rejects(validated(info), message))
}

test('refused: a boot interface that starts disks only', async () => {
  const boot_iso = file('live.iso')
  await assert.rejects(validated({ boot_iso }, {}), /boot interface some-boot starts instances from their disk only/)
})
