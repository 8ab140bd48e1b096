/** What an operator's dnsmasq is told of a node. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Port } from '#db/ports.ts'
import type { DhcpOption } from '#drivers/driver.ts'
import { uuid, type World, world } from './boot-world.ts'
import { forgetNode, tellDhcp } from './dhcp.ts'
import httpIpxe from './http-ipxe.ts'

const ports = [
  { address: '52:54:00:AA:00:01', extra: {} },
  { address: '52:54:00:aa:00:02', extra: { 'client-id': 'ff:00:01' } },
] as unknown as Port[] // nothing else is read

async function external(
  given: Parameters<typeof world>[0] = {},
): Promise<World & { read(name: string): Promise<string> }> {
  const w = await world(given)
  const [optsdir, hostsdir] = [join(w.directory, 'opts'), join(w.directory, 'hosts')]
  Object.assign(w.ctx.config.dhcp, { dhcp_provider: 'dnsmasq' })
  Object.assign(w.ctx.config.dnsmasq, { dhcp_optsdir: optsdir, dhcp_hostsdir: hostsdir })
  Object.assign(w.ctx.config.pxe, { tftp_server: '192.0.2.1' })
  await mkdir(optsdir)
  await mkdir(hostsdir)
  return Object.assign(w, { read: (name: string) => readFile(join(w.directory, name), 'utf8') })
}

test('iPXE is told of its script, firmware of iPXE, in both families', async () => {
  await using w = await external()
  await tellDhcp(w.ctx, 'ipxe', ports)
  assert.deepEqual((await w.read(`opts/ironic-${uuid}.conf`)).split('\n').slice(1, -1), [
    `tag:${uuid},tag:!ipxe,67,snponly.efi`,
    `tag:${uuid},tag:ipxe,67,http://192.0.2.1:8090/boot.ipxe`,
    `tag:${uuid},tag:!ipxe6,option6:59,tftp://192.0.2.1/snponly.efi`,
    `tag:${uuid},tag:ipxe6,option6:59,http://192.0.2.1:8090/boot.ipxe`,
    `tag:${uuid},66,192.0.2.1`,
    `tag:${uuid},150,192.0.2.1`,
    `tag:${uuid},255,192.0.2.1`,
  ])
  assert.equal(await w.read('hosts/ironic-52-54-00-aa-00-01.conf'), `52:54:00:aa:00:01,set:${uuid},set:ironic\n`)
  assert.equal(
    await w.read('hosts/ironic-52-54-00-aa-00-02.conf'),
    `52:54:00:aa:00:02,id:ff:00:01,set:${uuid},set:ironic\n`,
  )
})

test('the loader is that of the boot mode and the architecture; over HTTP it is a URL', async () => {
  await using bios = await external({ mode: 'bios' })
  await tellDhcp(bios.ctx, 'pxe', ports)
  assert.match(await bios.read(`opts/ironic-${uuid}.conf`), /,67,pxelinux\.0\n/)
  await using arm = await external({
    node: { properties: { cpu_arch: 'aarch64' } },
    pxe: { pxe_bootfile_name_by_arch: { aarch64: 'any.efi', 'aarch64-uefi': 'bootaa64.efi' } },
  })
  await tellDhcp(arm.ctx, 'http', ports)
  const text = await arm.read(`opts/ironic-${uuid}.conf`)
  assert.match(text, /,67,http:\/\/192\.0\.2\.1:8090\/bootaa64\.efi\n/)
  assert.match(text, /,60,HTTPClient\n/)
  assert.doesNotMatch(text, /,66,/)
  await assert.rejects(
    tellDhcp(arm.ctx, 'ipxe', ports),
    /no loader is configured for aarch64-uefi; expected one in \[pxe\] ipxe_bootfile/,
  )
})

test('a node that is done is told nothing any more; what another one has taken over stays', async () => {
  await using w = await external()
  await httpIpxe.prepareRamdisk(w.ctx, { mode: 'deploy', parameters: {} })
  await tellDhcp({ ...w.ctx, node: { ...w.ctx.node, uuid: 'other' } }, 'ipxe', ports.slice(1))
  await httpIpxe.cleanUpRamdisk(w.ctx)
  assert.equal(await w.read('hosts/ironic-52-54-00-aa-00-01.conf'), '52:54:00:aa:00:01,ignore\n')
  assert.match(await w.read('hosts/ironic-52-54-00-aa-00-02.conf'), /,set:other,/)
  assert.deepEqual(await readdir(join(w.directory, 'opts')), ['ironic-other.conf'])
  await forgetNode(w.ctx.config, uuid)
})

test('what cannot be told is refused: long names, directories that are not there', async () => {
  await using w = await external({ pxe: { uefi_ipxe_bootfile_name: `${'x'.repeat(65)}.efi` } })
  await assert.rejects(tellDhcp(w.ctx, 'ipxe', ports), /it has 69 characters; expected at most 64/)
  await using none = await external()
  Object.assign(none.ctx.config.dnsmasq, { dhcp_optsdir: join(none.directory, 'nowhere') })
  await assert.rejects(
    tellDhcp(none.ctx, 'ipxe', ports),
    /expected \[dnsmasq\] dhcp_optsdir and dhcp_hostsdir to be directories/,
  )
})

test('with Neutron the network interface is told; where it tells nobody, DHCP is somebody else', async () => {
  await using w = await world()
  Object.assign(w.ctx.config.dhcp, { dhcp_provider: 'neutron' })
  Object.assign(w.ctx.config.pxe, { tftp_server: '192.0.2.1' })
  const told: DhcpOption[] = []
  const network = { setDhcpOptions: async (_: unknown, options: readonly DhcpOption[]) => void told.push(...options) }
  const interfaces = { ...w.ctx.interfaces, network } as unknown as typeof w.ctx.interfaces // what DHCP uses of it
  await tellDhcp({ ...w.ctx, interfaces }, 'pxe', ports)
  assert.deepEqual(told[0], { number: 67, value: 'bootx64.efi', family: 4 })
  assert.deepEqual(
    told.filter(({ value }) => value === '192.0.2.1').map(({ number }) => number),
    [66, 150, 255],
  )
  let changed = 0
  const noop = { ...w.ctx.interfaces, network: {} } as unknown as typeof w.ctx.interfaces // tells nobody
  await tellDhcp({ ...w.ctx, interfaces: noop, portsChanged: async () => void changed++ }, 'pxe', ports)
  assert.equal(changed, 1)
})
