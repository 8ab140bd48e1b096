/** A hardware manager of the operator's, a shell script in the ramdisk, writes the image; the conductor knows nothing of it. */
import assert from 'node:assert/strict'
import { createWriteStream } from 'node:fs'
import { copyFile, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { forNginx } from '#lab/host-packages.ts'
import { buildRamdisk } from '#ramdisk/build.ts'
import { writeCpio } from '#ramdisk/cpio.ts'
import { bootLimitMs } from '../../../test/vm/world.ts'
import { startNginx } from '../nginx.ts'
import type { Scenario } from '../scenario.ts'
import type { DeployWorld } from '../world.ts'

const program = join(import.meta.dirname, '../../../examples/hardware-managers/raw-over-http')

export default {
  name: 'custom-agent',
  title: 'custom-agent: examples/hardware-managers/raw-over-http in the ramdisk fetches from nginx and writes',
  packages: forNginx,
  machine: { config: { DEFAULT: { enabled_deploy_interfaces: 'direct,custom-agent' } } },
  async run(world) {
    const { lab } = world
    const web = await startNginx(world, { root: dirname(world.image.raw) })
    await world.makeAvailable(await ramdiskWithProgram(world))
    await lab.change('/deploy_interface', 'custom-agent')
    const { sha256 } = world.image.manifest.raw
    const args = { url: `${web.url}/${basename(world.image.raw)}`, sha256 }
    const deploy_steps = [{ interface: 'deploy', step: 'write_raw', priority: 80, args }]
    const began = performance.now()
    const from = await lab.serialSize()
    await lab.ask('active', { deploy_steps })
    // busybox hashes, on an emulated processor.
    const node = await lab.reached('active', 2 * bootLimitMs)
    assert.equal(node.last_error, null)
    await lab.says(/^[\w.-]+ login: /m, from, bootLimitMs)
    world.notes.push(`login prompt after ${((performance.now() - began) / 1000).toFixed(0)} s`)
  },
} satisfies Scenario

/** @returns driver_info that boots the lab's ramdisk with the program in it */
async function ramdiskWithProgram({ lab }: DeployWorld): Promise<Record<string, string>> {
  const built = await buildRamdisk({ log: line => console.log(line) })
  const [kernel, ramdisk] = [join(lab.imageFolder, 'kernel'), join(lab.imageFolder, 'ramdisk')]
  await copyFile(built.kernel, kernel)
  await copyFile(built.initramfs, ramdisk)
  const folders = ['overlay', 'overlay/usr', 'overlay/usr/lib', 'overlay/usr/lib/ferrite']
  const folder = 'overlay/usr/lib/ferrite/hardware-managers'
  const directories = [...folders, folder].map(path => ({ kind: 'directory' as const, path, mode: 0o755 }))
  const file = { kind: 'file' as const, path: `${folder}/raw-over-http`, mode: 0o755, data: await readFile(program) }
  await pipeline(Readable.from(writeCpio([...directories, file], 0)), createWriteStream(ramdisk, { flags: 'a' }))
  return { deploy_kernel: `file://${kernel}`, deploy_ramdisk: `file://${ramdisk}` }
}
