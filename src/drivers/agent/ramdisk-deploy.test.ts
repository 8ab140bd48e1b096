/** What the `ramdisk` deploy interface takes as an instance, and what it refuses. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fetchBootFile } from '#boot/ramdisk-files.ts'
import { startFakeObjectStore } from '#images/fake-object-store.ts'
import type { BootInterface } from '../boot-interfaces.ts'
import type { FlowContext } from '../driver.ts'
import noopStorage from '../generic/noop-storage.ts'
import { testContext } from '../test-context.ts'
import { noteFilesOfImage } from './files-of-image.ts'
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
    interfaces: { storage: noopStorage, boot: { validate: async () => {}, ...boot } as BootInterface }, // what validation uses of it
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
    'an image of Glance, where there is none',
    { boot_iso: '2d3b6c1e-3d5c-4d0e-9a55-000000000001' },
    /Cannot use Glance: \[glance\] has neither auth_url nor endpoint_override/,
  ],
  ['what is no name', { boot_iso: 'live.iso' }, /boot_iso names live.iso; expected an http/],
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

test('images of Glance: asked for when the node is validated, fetched and checked before it boots', async () => {
  const [kernel, ramdiskId] = ['2d3b6c1e-3d5c-4d0e-9a55-000000000001', '2d3b6c1e-3d5c-4d0e-9a55-000000000002']
  const about = (content: Buffer, os_hash_value = createHash('sha512').update(content).digest('hex')) => ({
    content,
    about: { size: content.length, os_hash_algo: 'sha512', os_hash_value, visibility: 'public', disk_format: 'aki' },
  })
  const images = { [kernel]: about(randomBytes(5000)), [ramdiskId]: about(randomBytes(7000), 'f'.repeat(128)) }
  await using glance = await startFakeObjectStore({ key: '', digest: 'sha256', images })
  await using ctx = await testContext({
    node: { instance_info: { kernel, ramdisk: `glance://${ramdiskId}` }, boot_interface: 'some-boot' },
    interfaces: {
      storage: noopStorage,
      boot: { validate: async () => {}, capabilities: ['ramdisk_boot'] } as Partial<BootInterface> as BootInterface,
    }, // as above
    config: {
      DEFAULT: { state_path: directory },
      pxe: { tftp_master_path: join(directory, 'masters') },
      glance: { endpoint_override: glance.url },
    },
  })
  await ramdisk.validate(ctx)
  assert.ok(!glance.requests.some(line => line.endsWith('/file')), 'nothing was fetched yet')
  const from = 'instance_info/kernel'
  for (let time = 1; time <= 2; time += 1) {
    const path = await fetchBootFile(ctx, { location: kernel, from })
    assert.deepEqual(await readFile(path), images[kernel]?.content)
  }
  assert.equal(glance.requests.filter(line => line.endsWith(`${kernel}/file`)).length, 1, 'fetched once')
  await assert.rejects(
    fetchBootFile(ctx, { location: `glance://${ramdiskId}`, from }),
    /Cannot use image glance:\S+: its sha512 is \w+; expected f+ \(7000 bytes were fetched\)/,
  )
  Object.assign(ctx.node.instance_info, { kernel: kernel.replace('2d', '2e') })
  await assert.rejects(ramdisk.validate(ctx), /Glance answers 404/)
})

test('an image of Glance alone: what its owner says that it boots', async () => {
  const ids = (n: number) => `2d3b6c1e-3d5c-4d0e-9a55-00000000010${n}`
  const image = (properties: object) => ({ content: Buffer.from('x'), about: { visibility: 'public', ...properties } })
  const pair = { kernel_id: ids(8), ramdisk_id: ids(9) }
  await using glance = await startFakeObjectStore({
    key: '',
    digest: 'sha256',
    images: {
      [ids(1)]: image({ boot_iso_id: `glance://${ids(8)}`, ironic_ramdisk_deploy: 'true', ...pair }),
      [ids(2)]: image({ ...pair, ironic_ramdisk_deploy: 'True' }),
      [ids(3)]: image(pair),
      [ids(4)]: image({ kernel_id: ids(8), ironic_ramdisk_deploy: 'true' }),
      [ids(5)]: image({ boot_iso_id: 'file:///etc/passwd' }),
      [ids(8)]: image({}),
      [ids(9)]: image({}),
    },
  })
  const boot: Partial<BootInterface> = { validate: async () => {}, capabilities: ['ramdisk_boot'] }
  await using ctx = await testContext({
    node: { boot_interface: 'some-boot' },
    interfaces: { storage: noopStorage, boot: boot as BootInterface }, // what validation uses of it
    config: { glance: { endpoint_override: glance.url } },
  })
  const given = (instance_info: Record<string, unknown>) => Object.assign(ctx.node, { instance_info })
  /** As the step of a flow does. */
  const note = async () => {
    const flow = { write: async (patch: object) => void Object.assign(ctx.node, patch) }
    await noteFilesOfImage({ ...ctx, flow } as unknown as FlowContext) // all that it uses
    return ramdisk.instanceBoot(ctx)
  }
  const boots = async (id: string) => {
    given({ image_source: id })
    await ramdisk.validate(ctx)
    return await note()
  }
  assert.deepEqual(await boots(ids(1)), { kind: 'iso', iso: `glance://${ids(8)}` })
  const byPair = { kind: 'ramdisk', kernel: ids(8), ramdisk: ids(9), parameters: '' }
  assert.deepEqual(await boots(`glance://${ids(2)}`), byPair)
  assert.deepEqual(await boots(ids(3)), byPair)

  // What was noted counts for that image alone, and never against what is given.
  given({ image_source: ids(4) })
  assert.throws(() => ramdisk.instanceBoot(ctx), /no kernel, ramdisk or boot_iso; expected .* boot_iso_id$/)
  await assert.rejects(ramdisk.validate(ctx), /no kernel, ramdisk or boot_iso; expected .* boot_iso_id$/)
  given({ image_source: ids(3), kernel: 'http://a/k', ramdisk: 'http://a/r' })
  assert.deepEqual(await note(), { ...byPair, kernel: 'http://a/k', ramdisk: 'http://a/r' })
  given({ image_source: ids(5) })
  await assert.rejects(ramdisk.validate(ctx), /property boot_iso_id of glance:\S+ names file:.*passwd, outside of/)

  const choices = await Promise.all(
    [1, 2, 3, 4, 7].map(n =>
      ramdisk.supportsDeploy({ ...ctx, node: { ...ctx.node, instance_info: { image_source: ids(n) } } }),
    ),
  )
  assert.deepEqual(choices, [true, true, false, false, false])
})
