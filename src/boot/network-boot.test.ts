/** The boot interfaces `pxe`, `http` and `http-ipxe`: where their files are, what is in them, and what they refuse. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Port } from '#db/ports.ts'
import type { Volumes } from '#db/volumes.ts'
import ramdiskDeploy from '#drivers/agent/ramdisk-deploy.ts'
import { Unsupported } from '#drivers/driver.ts'
import externalStorage from '#drivers/generic/external-storage.ts'
import { silent } from '#lib/log.ts'
import { first, second, uuid, type World, world } from './boot-world.ts'
import http from './http.ts'
import httpIpxe from './http-ipxe.ts'
import ipxe from './ipxe.ts'
import { followPorts } from './node-files.ts'
import pxe from './pxe.ts'
import { prepareBootRoots } from './root.ts'

const parameters = { 'ipa-api-url': 'http://192.0.2.1:6385' }
const transcript = (name: string) => readFile(new URL(`./transcripts/${name}`, import.meta.url), 'utf8')
const colons = (mac: string | undefined) => String(mac).replaceAll('-', ':')
const names = async (path: string) => (await readdir(path)).sort()

test('pxe, BIOS: pxelinux finds kernel and ramdisk by TFTP', async () => {
  await using w = await world({ mode: 'bios', pxe: { dir_permission: 0o700 } })
  await pxe.prepareRamdisk(w.ctx, { mode: 'deploy', parameters })
  assert.deepEqual(await names(w.tftp), [uuid, 'pxelinux.cfg'])
  assert.deepEqual(await names(join(w.tftp, 'pxelinux.cfg')), [`01-${first}`, `01-${second}`])
  assert.equal(await readlink(join(w.tftp, `pxelinux.cfg/01-${first}`)), `../${uuid}/config`)
  assert.deepEqual(await names(join(w.tftp, uuid)), ['config', 'deploy_kernel', 'deploy_ramdisk'])
  assert.equal((await stat(join(w.tftp, uuid))).mode & 0o777, 0o700)
  assert.equal(await readFile(join(w.tftp, `pxelinux.cfg/01-${first}`), 'utf8'), await transcript('deploy.pxelinux'))
  assert.deepEqual(w.asked, [{ device: 'pxe', persistent: false }])
  await pxe.cleanUpRamdisk(w.ctx)
  assert.deepEqual(await names(w.tftp), ['pxelinux.cfg'])
  assert.deepEqual(await names(join(w.tftp, 'pxelinux.cfg')), [])
})

test('pxe, UEFI: GRUB does, by both names that it looks for', async () => {
  await using w = await world({
    node: { driver_info: { kernel_append_params: 'a="b c" d=$e;f console=ttyS0,115200' } },
  })
  await pxe.prepareRamdisk(w.ctx, { mode: 'clean', parameters })
  const links = [first, second].flatMap(mac => [`grub.cfg-01-${mac}`, `${colons(mac)}.conf`])
  assert.deepEqual(await names(w.tftp), [uuid, ...links].sort())
  assert.equal(await readlink(join(w.tftp, `${colons(first)}.conf`)), `${uuid}/config`)
  assert.equal(await readFile(join(w.tftp, `grub.cfg-01-${second}`), 'utf8'), await transcript('clean.grub'))
  await pxe.cleanUpRamdisk(w.ctx)
  assert.deepEqual(await names(w.tftp), [])
})

test('http: GRUB finds them over HTTP, the BMC is asked for that, and PXE is the second choice', async () => {
  await using w = await world()
  await http.prepareRamdisk(w.ctx, { mode: 'deploy', parameters })
  const config = await readFile(join(w.root, `${colons(first)}.conf`), 'utf8')
  assert.match(config, new RegExp(`if linux /${uuid}/deploy_kernel BOOTIF=\\$net_default_mac ipa-api-url=`))
  assert.deepEqual(w.asked, [{ device: 'uefihttp', persistent: false }])
  await using old = await world({
    management: {
      async setBootDevice(_, device) {
        if (device === 'uefihttp') throw new Unsupported('no such device')
        old.asked.push(device)
      },
    },
  })
  await http.prepareRamdisk(old.ctx, { mode: 'deploy', parameters })
  assert.deepEqual(old.asked, ['pxe'])
})

test('http-ipxe: the same script as ipxe, another boot device; neither boots over HTTP in BIOS mode', async () => {
  await using w = await world()
  await httpIpxe.prepareRamdisk(w.ctx, { mode: 'deploy', parameters })
  assert.equal(await w.script(), await transcript('deploy.ipxe'))
  assert.deepEqual(w.asked, [{ device: 'uefihttp', persistent: false }])
  for (const boot of [http, httpIpxe]) {
    await using bios = await world({ node: { properties: { capabilities: 'boot_mode:bios' } }, mode: 'bios' })
    await assert.rejects(boot.validate(bios.ctx), /by http(-ipxe)?: its boot mode is bios, .*; expected boot mode uefi/)
  }
})

test('a node that changes its way leaves nothing behind; one that stays follows its ports', async () => {
  await using w = await world()
  await ipxe.prepareRamdisk(w.ctx, { mode: 'deploy', parameters })
  await pxe.prepareRamdisk(w.ctx, { mode: 'deploy', parameters })
  assert.deepEqual(await names(join(w.root, 'pxelinux.cfg')), [])
  const ports = [{ address: '52:54:00:AA:00:02' }, { address: '52:54:00:aa:00:03' }]
  await followPorts(w.ctx.config, uuid, ports.map(port => ({ ...port, pxe_enabled: true })) as Port[]) // nothing else is read
  const found = (await names(w.tftp)).filter(name => name.endsWith('.conf'))
  assert.deepEqual(found, ['52:54:00:aa:00:02.conf', '52:54:00:aa:00:03.conf'])
  // The same node on a machine that was switched to BIOS: the links of the other loader go.
  w.ctx.node = { ...w.ctx.node, properties: { capabilities: 'boot_mode:bios' } }
  await pxe.prepareRamdisk(w.ctx, { mode: 'deploy', parameters })
  await pxe.cleanUpRamdisk(w.ctx)
  assert.deepEqual(await names(w.tftp), ['pxelinux.cfg'])
  assert.deepEqual(await names(w.root), ['pxelinux.cfg'])
})

test('InfiniBand cards are found by their client id', async () => {
  await using w = await world({
    mode: 'bios',
    ports: [{ address: '52:54:00:aa:00:01', extra: { 'client-id': 'ff:00' } }],
  })
  await pxe.prepareRamdisk(w.ctx, { mode: 'deploy', parameters })
  assert.deepEqual(await names(join(w.tftp, 'pxelinux.cfg')), [`20-${first}`])
  await pxe.cleanUpRamdisk(w.ctx)
  assert.deepEqual(await names(join(w.tftp, 'pxelinux.cfg')), [])
})

test('an instance without a disk, and an ISO, which GRUB and pxelinux cannot start', async () => {
  await using w = await world({ deploy: ramdiskDeploy, pxe: { kernel_append_params: 'nofb' } })
  const allowed = join(w.directory, 'allowed')
  await mkdir(allowed)
  for (const name of ['kernel', 'ramdisk', 'live.iso']) await writeFile(join(allowed, name), name)
  const files = { kernel: `file://${allowed}/kernel`, ramdisk: `file://${allowed}/ramdisk` }
  w.ctx.node = { ...w.ctx.node, instance_info: { ...files, ramdisk_kernel_arguments: 'run=1' } }
  await pxe.prepareInstance(w.ctx)
  assert.equal(await pxe.servesInstance?.(w.ctx), true)
  const config = await readFile(join(w.tftp, uuid, 'config'), 'utf8')
  assert.match(config, new RegExp(`if linux /${uuid}/kernel root=/dev/ram0 text nofb run=1; then`))
  assert.deepEqual(w.asked, [{ device: 'pxe', persistent: true }])
  w.ctx.node = { ...w.ctx.node, instance_info: { boot_iso: `file://${allowed}/live.iso` } }
  await assert.rejects(
    pxe.prepareInstance(w.ctx),
    /Cannot boot the ISO on node .* by pxe: GRUB starts no ISO.*expected ipxe/,
  )
})

test('a fallback lets the firmware go on with the disk', async () => {
  await using w = await world({ pxe: { enable_netboot_fallback: true } })
  await pxe.prepareInstance(w.ctx)
  assert.match(await readFile(join(w.tftp, uuid, 'config'), 'utf8'), /^exit 1$/m)
  await ipxe.prepareInstance(w.ctx)
  assert.match(await w.script(), /^exit 1$/m)
  assert.deepEqual(w.asked.at(-1), { device: 'disk', persistent: true })
})

test('secure boot is switched on for the instance that asks for it, and off when it goes', async () => {
  const turned: boolean[] = []
  const setSecureBoot = async (_: unknown, enabled: boolean) => void turned.push(enabled)
  await using w = await world({ mode: 'uefi', management: { setSecureBoot } })
  await pxe.prepareInstance(w.ctx)
  await pxe.cleanUpInstance(w.ctx)
  assert.deepEqual(turned, [])
  w.ctx.node = { ...w.ctx.node, instance_info: { capabilities: { secure_boot: 'true' } } }
  await pxe.prepareInstance(w.ctx)
  await pxe.cleanUpInstance(w.ctx)
  assert.deepEqual(turned, [true, false])
  await using none = await world({ node: { instance_info: w.ctx.node.instance_info, management_interface: 'noop' } })
  await assert.rejects(pxe.validate(none.ctx), /management interface noop cannot set it/)
})

test('an instance without an image boots from its iSCSI volumes', async () => {
  const target = (boot_index: number, properties: object) => ({
    uuid: `volume-${boot_index}`,
    volume_type: 'iscsi',
    boot_index,
    properties: { target_portal: '192.0.2.7:3261', ...properties },
  })
  const volumes = {
    targets: [
      target(0, {
        target_iqn: 'iqn.2026-11.test:root',
        target_lun: 10,
        auth_username: 'node',
        auth_password: 'secret',
      }),
      target(1, { target_iqn: 'iqn.2026-11.test:data', target_lun: '1' }),
    ],
    connectors: [{ type: 'iqn', connector_id: 'iqn.2026-11.test:node-1' }],
  } as unknown as Volumes // what is read of them
  await using w = await world({ deploy: ramdiskDeploy, storage: externalStorage, volumes })
  w.ctx.interfaces.boot = ipxe
  await ramdiskDeploy.validate(w.ctx)
  await ipxe.prepareInstance(w.ctx)
  assert.equal(await w.script(), await transcript('instance-volume.ipxe'))
  assert.deepEqual(w.asked, [{ device: 'pxe', persistent: true }])

  w.ctx.interfaces.boot = pxe
  await assert.rejects(ramdiskDeploy.validate(w.ctx), /boot interface .* cannot; expected ipxe or http-ipxe/)
  await using anonymous = await world({
    deploy: ramdiskDeploy,
    storage: externalStorage,
    volumes: { ...volumes, connectors: [] },
  })
  await assert.rejects(ipxe.prepareInstance(anonymous.ctx), /no volume connector of type iqn/)
  const odd = { ...volumes, targets: [target(0, { target_iqn: 'iqn\nreboot', target_lun: 1 })] } as unknown as Volumes // as above
  await using wrong = await world({ deploy: ramdiskDeploy, storage: externalStorage, volumes: odd })
  await assert.rejects(ipxe.prepareInstance(wrong.ctx), /properties are not those of iSCSI \(\/target_iqn/)
  // With an image the disk is meant.
  w.ctx.node = { ...w.ctx.node, instance_info: { image_source: 'http://192.0.2.9/image' } }
  assert.deepEqual(await externalStorage.bootVolumes?.(w.ctx), [])
})

test("operators' templates take the place of ours, with the entry that is to start", async () => {
  const write = async (w: World, name: string, text: string) => {
    const path = join(w.directory, name)
    await writeFile(path, text)
    return path
  }
  await using w = await world()
  const { pxe: options } = w.ctx.config
  const grub = await write(
    w,
    'grub.template',
    'set default=deploy\nset timeout=5\nmenuentry "deploy" {\n  {{ pxe_options.linux_cmd }} {{ pxe_options.deployment_aki_path }} {{ pxe_options.pxe_append_params }} --\n}\nmenuentry "boot_ramdisk" {\n  linux {{ pxe_options.aki_path }}\n}\n',
  )
  Object.assign(w.ctx, { config: { ...w.ctx.config, pxe: { ...options, uefi_pxe_config_template: grub } } })
  await pxe.prepareRamdisk(w.ctx, { mode: 'deploy', parameters })
  const text = await readFile(join(w.tftp, uuid, 'config'), 'utf8')
  assert.match(text, new RegExp(`  linux /${uuid}/deploy_kernel ipa-api-url=\\S+ nofb vga=normal --`))
  assert.match(text, /^set default=deploy$/m)
  await pxe.cleanUpRamdisk(w.ctx)
  assert.deepEqual(await names(w.tftp), [])

  const broken = await write(w, 'broken.template', 'set default=deploy\n{{ pxe_options.nonsense }}\n')
  Object.assign(w.ctx, { config: { ...w.ctx.config, pxe: { ...options, uefi_pxe_config_template: broken } } })
  await assert.rejects(
    pxe.prepareRamdisk(w.ctx, { mode: 'deploy', parameters }),
    /Cannot use the template of \[pxe\] uefi_pxe_config_template, .*broken\.template: .*nonsense/,
  )
  w.ctx.node = { ...w.ctx.node, driver_info: { pxe_template: '/etc/shadow' } }
  await assert.rejects(
    pxe.prepareRamdisk(w.ctx, { mode: 'deploy', parameters }),
    /driver_info\/pxe_template is set.*expected none, or \[pxe\] enable_insecure_template_override/,
  )
})

test('GRUB begins with a configuration in each root; an operator may have another', async () => {
  await using w = await world()
  const { config } = w.ctx
  await prepareBootRoots(config, silent)
  for (const root of [w.tftp, w.root]) {
    assert.equal(await readFile(join(root, 'grub/grub.cfg'), 'utf8'), await transcript('entry.grub'))
  }
  const path = join(w.directory, 'initial.template')
  await writeFile(path, 'configfile /mine\n')
  await rm(join(w.tftp, 'grub'), { recursive: true })
  await prepareBootRoots({ ...config, pxe: { ...config.pxe, initial_grub_template: path } }, silent)
  assert.equal(await readFile(join(w.tftp, 'grub/grub.cfg'), 'utf8'), 'configfile /mine\n')
})
