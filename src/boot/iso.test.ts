/** Boot ISO images, looked into with the tool that firmware's makers use: xorriso. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { run } from '#lib/run.ts'
import { type BootIso, buildBootIso, IsoNotBuilt } from './iso.ts'
import { parametersFloppy } from './parameters-floppy.ts'

let folder = ''
let iso: BootIso

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrite-iso-'))
  const file = async (name: string) => {
    await writeFile(join(folder, name), `this is ${name}`.padEnd(4096))
    return join(folder, name)
  }
  iso = {
    kernel: await file('kernel=1'),
    ramdisk: await file('ramdisk'),
    parameters: `console=ttyS1,9600 name="a value" odd='$x;' -- single`,
    publisher: 'b4e0f3ac-5f56-4e5c-9b8e-0c8d6f6f3a11',
    bios: { isolinux: await file('isolinux'), library: await file('library') },
    efi: await file('efi'),
    grubConfigPath: 'EFI/debian/grub.cfg',
    files: {},
  }
})
after(() => rm(folder, { recursive: true, force: true }))

async function extracted(path: string, file: string): Promise<string> {
  const to = join(folder, 'out')
  await rm(to, { force: true })
  await run('xorriso', ['-osirrox', 'on', '-indev', path, '-extract', file, to])
  return readFile(to, 'utf8')
}

test('the ISO holds kernel, ramdisk and loaders for both kinds of firmware, and says which one it is', async () => {
  const path = join(folder, 'both.iso')
  await buildBootIso(path, iso)
  assert.equal((await extracted(path, '/vmlinuz')).trim(), 'this is kernel=1')
  assert.equal((await extracted(path, '/initrd')).trim(), 'this is ramdisk')
  const isolinux = await extracted(path, '/isolinux/isolinux.cfg')
  assert.match(isolinux, /^SERIAL 1 9600$/m)
  assert.match(isolinux, /^ {2}APPEND console=ttyS1,9600 name="a value" odd='\$x;' -- single$/m)
  for (const place of ['/boot/grub/grub.cfg', '/EFI/debian/grub.cfg']) {
    const grub = await extracted(path, place)
    assert.match(grub, /^linux \/vmlinuz console=ttyS1,9600 'name=a value' 'odd='\\''\$x;'\\''' -- single$/m)
  }
  const { stdout } = await run('xorriso', ['-indev', path, '-pvd_info', '-report_el_torito', 'plain'])
  assert.match(stdout, /Volume Id {4}: VMEDIA_BOOT_ISO/)
  assert.match(stdout, /Publisher Id : b4e0f3ac-5f56-4e5c-9b8e-0c8d6f6f3a11/i)
  assert.match(stdout, /El Torito boot img : {3}1 {2}BIOS/)
  assert.match(stdout, /El Torito boot img : {3}2 {2}UEFI/)
})

test('an ISO with network data is a config drive as well; one for UEFI alone has no BIOS loader', async () => {
  const path = join(folder, 'uefi.iso')
  const name = 'openstack/latest/network_data.json'
  await buildBootIso(path, { ...iso, bios: null, files: { [name]: '{"links":[]}' } })
  assert.equal(await extracted(path, `/${name}`), '{"links":[]}')
  const { stdout } = await run('xorriso', ['-indev', path, '-pvd_info', '-report_el_torito', 'plain'])
  assert.match(stdout, /Volume Id {4}: config-2/)
  assert.doesNotMatch(stdout, /BIOS/)
})

test('what cannot be built says so and leaves nothing behind', async () => {
  const path = join(folder, 'none.iso')
  await assert.rejects(buildBootIso(path, { ...iso, kernel: join(folder, 'missing') }), (error: Error) => {
    assert.ok(error instanceof IsoNotBuilt)
    assert.match(error.message, /missing/)
    return true
  })
  await assert.rejects(readFile(path))
})

test('a floppy holds parameters, a line for each', async () => {
  const path = join(folder, 'parameters.img')
  await parametersFloppy(path, { 'ipa-api-url': 'http://192.0.2.1:6385', boot_method: 'vmedia' })
  const { stdout } = await run('mtype', ['-i', path, '::/parameters.txt'])
  assert.equal(stdout, 'ipa-api-url=http://192.0.2.1:6385\nboot_method=vmedia\n')
  assert.match((await run('mlabel', ['-i', path, '-s', '::'])).stdout, /IR-VFD-DEV/i)
})
