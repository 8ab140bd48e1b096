/** The boot interface `ipxe`: the files it makes, and what it says when it cannot. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Port } from '#db/ports.ts'
import ramdiskDeploy from '#drivers/agent/ramdisk-deploy.ts'
import { silent } from '#lib/log.ts'
import { first, macs, second, uuid, type World, world } from './boot-world.ts'
import ipxe from './ipxe.ts'
import { followPorts } from './node-files.ts'
import { BootFileUnavailable } from './ramdisk-files.ts'
import { prepareBootRoots } from './root.ts'

const parameters = { 'ipa-api-url': 'http://192.0.2.1:6385' }

const prepare = ({ ctx }: World, mode: 'deploy' | 'clean' | 'rescue' = 'deploy') =>
  ipxe.prepareRamdisk(ctx, { mode, parameters })

test('the ramdisk of a node is found by each of its MAC addresses', async () => {
  await using w = await world()
  await ipxe.validate(w.ctx)
  await prepare(w)
  assert.deepEqual((await readdir(join(w.root, 'pxelinux.cfg'))).sort(), [first, second])
  assert.equal(await readlink(join(w.root, 'pxelinux.cfg', second)), `../${uuid}/config`)
  assert.deepEqual((await readdir(join(w.root, uuid))).sort(), ['config', 'deploy_kernel', 'deploy_ramdisk'])
  assert.equal(await readFile(join(w.root, uuid, 'deploy_ramdisk'), 'utf8'), 'an initramfs')
  const { mode } = await stat(join(w.root, uuid, 'config'))
  assert.equal(mode & 0o777, 0o644)
  assert.deepEqual(w.asked, [{ device: 'pxe', persistent: false }])
  assert.equal(await w.script(), await readFile(new URL('./transcripts/deploy.ipxe', import.meta.url), 'utf8'))
})

test('asking twice changes nothing; a rebuilt ramdisk is taken', async () => {
  await using w = await world()
  await prepare(w)
  const kernel = join(w.root, uuid, 'deploy_kernel')
  const before = await stat(kernel)
  await prepare(w)
  assert.equal((await stat(kernel)).ino, before.ino)
  // As the builder does it: a new file takes the old one's name.
  const built = join(w.directory, 'ramdisk/ferrite-agent.kernel')
  await writeFile(`${built}.partial`, 'another kernel')
  await rm(built)
  await writeFile(built, 'another kernel')
  await prepare(w)
  assert.equal(await readFile(kernel, 'utf8'), 'another kernel')
  assert.deepEqual((await readdir(join(w.root, uuid))).sort(), ['config', 'deploy_kernel', 'deploy_ramdisk'])
})

test('cleaning up leaves nothing, but for what another node has taken over', async () => {
  await using w = await world()
  await prepare(w)
  await rm(join(w.root, 'pxelinux.cfg', second))
  await writeFile(join(w.root, 'pxelinux.cfg', second), "another node's")
  await ipxe.cleanUpRamdisk(w.ctx)
  assert.deepEqual(await readdir(join(w.root, 'pxelinux.cfg')), [second])
  assert.deepEqual(await readdir(w.root), ['pxelinux.cfg'])
  await ipxe.cleanUpRamdisk(w.ctx)
})

test('an instance boots from its disk, and a running one keeps its boot order', async () => {
  await using w = await world()
  await prepare(w)
  w.asked.length = 0
  await ipxe.prepareInstance(w.ctx)
  assert.deepEqual(w.asked, [{ device: 'disk', persistent: true }])
  assert.deepEqual(await readdir(w.root), ['pxelinux.cfg'])
  w.asked.length = 0
  w.ctx.node = { ...w.ctx.node, provision_state: 'active' }
  await ipxe.prepareInstance(w.ctx)
  assert.deepEqual(w.asked, [])
})

test('an instance without a disk is served, boots from the network for good, and goes without a trace', async () => {
  await using w = await world({ deploy: ramdiskDeploy, pxe: { kernel_append_params: 'nofb' } })
  const allowed = join(w.directory, 'allowed')
  await mkdir(allowed)
  for (const name of ['kernel', 'ramdisk', 'live.iso']) await writeFile(join(allowed, name), `instance ${name}`)
  const files = { kernel: `file://${allowed}/kernel`, ramdisk: `file://${allowed}/ramdisk` }
  w.ctx.node = { ...w.ctx.node, instance_info: { ...files, ramdisk_kernel_arguments: 'console=ttyS0 run=1' } }
  assert.equal(await ipxe.servesInstance?.(w.ctx), false)
  await ipxe.prepareInstance(w.ctx)
  assert.equal(await ipxe.servesInstance?.(w.ctx), true)
  assert.deepEqual(w.asked, [{ device: 'pxe', persistent: true }])
  assert.equal(await readFile(join(w.root, uuid, 'ramdisk'), 'utf8'), 'instance ramdisk')
  const transcript = (name: string) => readFile(new URL(`./transcripts/${name}`, import.meta.url), 'utf8')
  assert.equal(await w.script(), await transcript('instance-ramdisk.ipxe'))

  // A running instance keeps what it boots from, and its boot order.
  w.asked.length = 0
  w.ctx.node = { ...w.ctx.node, provision_state: 'active' }
  await ipxe.prepareInstance(w.ctx)
  assert.deepEqual(w.asked, [])

  w.ctx.node = {
    ...w.ctx.node,
    provision_state: 'deploying',
    instance_info: { boot_iso: `file://${allowed}/live.iso` },
  }
  await ipxe.cleanUpInstance(w.ctx)
  await ipxe.prepareInstance(w.ctx)
  assert.deepEqual((await readdir(join(w.root, uuid))).sort(), ['boot_iso', 'config'])
  assert.equal(await w.script(), await transcript('instance-iso.ipxe'))
  await ipxe.cleanUpInstance(w.ctx)
  assert.deepEqual(await readdir(w.root), ['pxelinux.cfg'])
  assert.deepEqual(await readdir(join(w.root, 'pxelinux.cfg')), [])
})

test('an installer gets its kickstart, and its second stage where the repository has none', async () => {
  await using w = await world()
  const allowed = join(w.directory, 'allowed')
  await mkdir(allowed)
  const file = async (name: string) => {
    await writeFile(join(allowed, name), name)
    return { location: `file://${allowed}/${name}`, from: `instance_info/${name}` }
  }
  const files = { kernel: await file('vmlinuz'), ramdisk: await file('initrd.img'), kickstart: 'text\n' }
  await ipxe.prepareInstaller?.(w.ctx, { ...files, stage2: await file('stage2'), repository: null })
  assert.equal(await readFile(join(w.root, uuid, 'ks.cfg'), 'utf8'), 'text\n')
  assert.equal(await readFile(join(w.root, uuid, 'LiveOS/squashfs.img'), 'utf8'), 'stage2')
  assert.match(await w.script(), / BOOTIF=\$\{mac\} text inst\.ks=http:\S+\/ks\.cfg inst\.stage2=http:\S+ /)
  await ipxe.prepareInstaller?.(w.ctx, { ...files, stage2: null, repository: 'http://192.0.2.9/os/' })
  assert.match(await w.script(), / inst\.repo=http:\/\/192\.0\.2\.9\/os\/ /)
  await ipxe.cleanUpRamdisk(w.ctx)
  assert.deepEqual(await readdir(w.root), ['pxelinux.cfg'])
})

test('an agent ramdisk is asked for where it will be booted: not for an instance that is never cleaned', async () => {
  await using w = await world({ built: false, deploy: ramdiskDeploy })
  await assert.rejects(ipxe.validate(w.ctx), /run "ferrite ramdisk build"/)
  w.ctx.node = { ...w.ctx.node, automated_clean: false }
  await ipxe.validate(w.ctx)
})

test('links follow the ports', async () => {
  await using w = await world()
  const ports = [
    { address: '52:54:00:aa:00:02', pxe_enabled: true },
    { address: '52:54:00:aa:00:03', pxe_enabled: true },
  ]
  await followPorts(w.ctx.config, uuid, ports as Port[]) // other fields are not read
  await assert.rejects(readdir(join(w.root, 'pxelinux.cfg')), /ENOENT/)
  await prepare(w)
  await followPorts(w.ctx.config, uuid, ports as Port[])
  assert.deepEqual((await readdir(join(w.root, 'pxelinux.cfg'))).sort(), [second, '52-54-00-aa-00-03'])
  await ipxe.cleanUpRamdisk(w.ctx)
  assert.deepEqual(await readdir(join(w.root, 'pxelinux.cfg')), [])
})

test("kernel parameters: the node's own, %default%, and what is refused", async () => {
  await using w = await world({
    node: { driver_info: { kernel_append_params: 'console=ttyS0,115200n8 %default%\n test="a b" -- init args {}' } },
    pxe: { kernel_append_params: 'nofb quiet' },
  })
  await prepare(w)
  const line = (await w.script()).split('\n').find(each => each.startsWith('kernel'))
  // What follows -- is for init, so it stays last.
  const wanted =
    // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE replaces it, not we
    'BOOTIF=${mac} ipa-api-url=http://192.0.2.1:6385 console=ttyS0,115200n8 nofb quiet test="a b" -- init args {} ||'
  assert.ok(line?.includes(wanted), `found ${line}`)
  w.ctx.node = { ...w.ctx.node, instance_info: { kernel_append_params: 'ok=1 && reboot' } }
  await assert.rejects(
    ipxe.validate(w.ctx),
    /kernel parameters of instance_info\/kernel_append_params: found "&&"; expected words such as/,
  )
})

test('a node that cannot boot from the network is told why', async () => {
  await using none = await world({ ports: [] })
  await assert.rejects(
    ipxe.validate(none.ctx),
    /Cannot boot node .* from the network: it has no ports; expected a port/,
  )
  await using off = await world({ ports: [{ address: macs[0] ?? '', pxe_enabled: false }] })
  await assert.rejects(ipxe.validate(off.ctx), /none of its 1 ports has pxe_enabled/)
  await using unbuilt = await world({ built: false })
  await assert.rejects(
    ipxe.validate(unbuilt.ctx),
    /\[ferrite\] ramdisk_dir names .*ferrite-agent\.kernel, a file that is not there or cannot be read; run "ferrite ramdisk build"/,
  )
  await using half = await world({
    node: { driver_info: { deploy_kernel: 'http://192.0.2.9/k' } },
    conductor: { error_on_ramdisk_config_inconsistency: true },
  })
  await assert.rejects(ipxe.validate(half.ctx), /driver_info names a kernel without a ramdisk; expected both/)
  await using odd = await world({ node: { driver_info: { deploy_kernel: 'ftp://x/k', deploy_ramdisk: 'ftp://x/r' } } })
  await assert.rejects(ipxe.validate(odd.ctx), /driver_info names ftp:\/\/x\/k; expected an http, https or file URL/)
})

test("a node's own files of this host must lie where they may", async () => {
  await using w = await world()
  const allowed = join(w.directory, 'allowed')
  await mkdir(allowed)
  await writeFile(join(allowed, 'k'), 'own kernel')
  await writeFile(join(allowed, 'r'), 'own ramdisk')
  const info = (kernel: string) => ({ deploy_kernel: kernel, deploy_ramdisk: `file://${allowed}/r` })
  w.ctx.node = { ...w.ctx.node, driver_info: info(`file://${allowed}/k`) }
  await prepare(w)
  assert.equal(await readFile(join(w.root, uuid, 'deploy_kernel'), 'utf8'), 'own kernel')
  for (const path of ['/etc/passwd', `${allowed}/../ramdisk/ferrite-agent.kernel`]) {
    w.ctx.node = { ...w.ctx.node, driver_info: info(`file://${path}`) }
    await assert.rejects(ipxe.validate(w.ctx), /outside of \[conductor\] file_url_allowed_paths/)
  }
})

test('kernel and ramdisk from a server are fetched once, and again when they change', async () => {
  let version = 'one'
  const requests: string[] = []
  const server = createServer((request, response) => {
    const isKnown = request.headers['if-none-match'] === `"${version}"`
    requests.push(`${request.url} ${isKnown ? 304 : 200}`)
    if (request.url === '/missing') response.writeHead(404).end()
    else
      response
        .writeHead(isKnown ? 304 : 200, { etag: `"${version}"` })
        .end(isKnown ? undefined : `${request.url} ${version}`)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // it listens on TCP
  const url = `http://127.0.0.1:${port}`
  try {
    await using w = await world({ conductor: { deploy_kernel: `${url}/k`, deploy_ramdisk: `${url}/r` } })
    await prepare(w)
    await prepare(w)
    assert.deepEqual(requests, ['/k 200', '/r 200', '/k 304', '/r 304'])
    version = 'two'
    await prepare(w)
    assert.equal(await readFile(join(w.root, uuid, 'deploy_ramdisk'), 'utf8'), '/r two')
    w.ctx.node = { ...w.ctx.node, driver_info: { deploy_kernel: `${url}/missing`, deploy_ramdisk: `${url}/r` } }
    await assert.rejects(prepare(w), (error: Error) => {
      assert.ok(error instanceof BootFileUnavailable)
      assert.match(error.message, /driver_info names http:.*\/missing, which could not be fetched: HTTP 404 Not Found/)
      return true
    })
  } finally {
    server.close()
  }
})

test('the boot mode is changed when another one is asked for', async () => {
  await using w = await world({ node: { properties: { capabilities: 'boot_mode:bios,other:1' } }, mode: 'uefi' })
  await prepare(w)
  assert.deepEqual(w.asked, [{ mode: 'bios' }, { device: 'pxe', persistent: false }])
  w.ctx.node = { ...w.ctx.node, instance_info: { capabilities: { boot_mode: 'coreboot' } } }
  await assert.rejects(
    ipxe.validate(w.ctx),
    /instance_info\/capabilities asks for boot mode "coreboot"; expected bios or uefi/,
  )
})

test('the roots hold the entry script and the loaders of this host', async () => {
  await using w = await world()
  const loader = join(w.directory, 'loader.efi')
  await writeFile(loader, 'loader')
  const config = { ...w.ctx.config, pxe: { ...w.ctx.config.pxe, loader_file_paths: { 'snponly.efi': loader } } }
  await prepareBootRoots(config, silent)
  await utimes(loader, 0, 0)
  await prepareBootRoots(config, silent)
  for (const root of [config.pxe.tftp_root, w.root]) {
    assert.equal(await readFile(join(root, 'snponly.efi'), 'utf8'), 'loader')
  }
  assert.equal(
    await readFile(join(w.root, 'boot.ipxe'), 'utf8'),
    await readFile(new URL('./transcripts/boot.ipxe', import.meta.url), 'utf8'),
  )
})
