/** A bootable container out of a real registry, which a real podman in the ramdisk fetches and runs. */
import assert from 'node:assert/strict'
import { createWriteStream } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { forRegistry } from '#lab/host-packages.ts'
import { buildRamdisk } from '#ramdisk/build.ts'
import { type CpioEntry, writeCpio } from '#ramdisk/cpio.ts'
import { bootLimitMs } from '../../../test/vm/world.ts'
import { forBootableContainer, makeBootableContainer } from '../bootable-container.ts'
import { startRegistry } from '../registry.ts'
import type { Scenario } from '../scenario.ts'
import type { DeployWorld } from '../world.ts'

export default {
  name: 'bootc',
  title: 'bootc: a bootable container of docker-registry of Debian, by podman; a program of ours stands in for bootc',
  packages: [...forRegistry, ...forBootableContainer],
  machine: { machine: { memoryMb: 2048 }, config: { DEFAULT: { enabled_deploy_interfaces: 'direct,bootc' } } },
  async run(world) {
    const { lab } = world
    const registry = await startRegistry(world)
    const layer = await makeBootableContainer(await world.folder('bootable'), 'bootc-1')
    await registry.pushContainer('team/server', '1', layer)
    await world.configure({ oci: { permit_fallback_to_http_transport: true } })
    await world.makeAvailable(await ramdiskThatTrusts(world, registry.host))
    await lab.change('/deploy_interface', 'bootc')
    await lab.change('/instance_info', {
      image_source: `oci://${registry.host}/team/server:1`,
      image_pull_secret: registry.pullSecret,
      bootc_authorized_keys: 'ssh-ed25519 AAAA operator',
    })
    const began = performance.now()
    const from = await lab.serialSize()
    await lab.ask('active', { configdrive: { meta_data: { hostname: 'bootc-1' } } })
    const node = await lab.reached('active', 2 * bootLimitMs)
    assert.equal(node.last_error, null)
    await lab.says(/^bootc-1 login: /m, from, bootLimitMs)
    world.notes.push(`login prompt after ${((performance.now() - began) / 1000).toFixed(0)} s`)
  },
} satisfies Scenario

/** @returns driver_info that boots a ramdisk with podman, which may ask this registry without TLS */
async function ramdiskThatTrusts({ lab }: DeployWorld, host: string): Promise<Record<string, string>> {
  const built = await buildRamdisk({ features: ['podman'], log: line => console.log(line) })
  const [kernel, ramdisk] = [join(lab.imageFolder, 'kernel'), join(lab.imageFolder, 'ramdisk')]
  await copyFile(built.kernel, kernel)
  await copyFile(built.initramfs, ramdisk)
  const folder = 'overlay/etc/containers/registries.conf.d'
  const folders = folder.split('/').map((_, index, names): CpioEntry => {
    return { kind: 'directory', path: names.slice(0, index + 1).join('/'), mode: 0o755 }
  })
  const data = Buffer.from(`[[registry]]\nlocation = "${host}"\ninsecure = true\n`)
  const file: CpioEntry = { kind: 'file', path: `${folder}/lab.conf`, mode: 0o644, data }
  await pipeline(Readable.from(writeCpio([...folders, file], 0)), createWriteStream(ramdisk, { flags: 'a' }))
  return { deploy_kernel: `file://${kernel}`, deploy_ramdisk: `file://${ramdisk}` }
}
