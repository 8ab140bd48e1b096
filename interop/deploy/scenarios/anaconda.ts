/**
 * A machine boots an installer with a kickstart of ours: kernel and ramdisk are the lab's own with a stand-in for Anaconda
 * in it (installer.ts), which puts the image of a system on the disk, tells how far it is, and switches the machine off.
 */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildRamdisk } from '#ramdisk/build.ts'
import { type CpioEntry, writeCpio } from '#ramdisk/cpio.ts'
import { bootLimitMs } from '../../../test/vm/world.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'anaconda',
  title:
    'anaconda: an installer that does on the wire what Anaconda does, by iPXE with a kickstart; liveimg by the service',
  packages: ['xorriso'],
  async run(world) {
    const { lab } = world
    const { kernel, initramfs } = await buildRamdisk({ log: line => console.log(line) })
    const ramdisk = join(lab.imageFolder, 'installer.initramfs')
    await writeFile(ramdisk, Buffer.concat([await readFile(initramfs), ...writeCpio(await overlay(), 0)]))
    const stage2 = join(lab.imageFolder, 'squashfs.img')
    await writeFile(stage2, 'what an installer has its own system in')

    await world.configure({ DEFAULT: { enabled_deploy_interfaces: 'direct,anaconda' } })
    await world.makeAvailable()
    await lab.change('/deploy_interface', 'anaconda')
    await lab.change('/instance_info', {
      kernel: `file://${kernel}`,
      ramdisk: `file://${ramdisk}`,
      stage2: `file://${stage2}`,
      image_source: `file://${world.image.raw}`,
    })
    const from = await lab.serialSize()
    const node = await lab.bring('active', 'active', { configdrive: { meta_data: { hostname: 'kickstart-1' } } })
    assert.equal(node.last_error, null)
    // The stand-in leaves the config drive's files beside the system, which it only copies.
    await lab.says(/^\S+ login: /m, from, bootLimitMs)
    const said = (await lab.lab.serialText(lab.machine.name)).text
    assert.match(said, /installer: installing from http:\S+liveimg/)
  },
} satisfies Scenario

/** What lies over the lab's ramdisk: the installer in the agent's place, and a curl for its scripts. */
async function overlay(): Promise<CpioEntry[]> {
  const source = (name: string) => readFile(new URL(`../${name}`, import.meta.url))
  const file = (path: string, data: Uint8Array | string, mode = 0o644): CpioEntry => {
    return { kind: 'file', path: `overlay/${path}`, mode, data: Buffer.from(data) }
  }
  const directories = ['overlay', 'overlay/usr', 'overlay/usr/bin', 'overlay/usr/lib', 'overlay/usr/lib/ferrite']
  return [
    ...directories.map((path): CpioEntry => ({ kind: 'directory', path, mode: 0o755 })),
    file('usr/lib/ferrite/agent.mjs', "process.argv[2] = '--machine'\nawait import('./installer.ts')\n"),
    file('usr/lib/ferrite/installer.ts', await source('installer.ts')),
    file('usr/lib/ferrite/curl.ts', await source('curl-in-a-ramdisk.ts')),
    file('usr/bin/curl', '#!/usr/bin/sh\nexec /usr/bin/node /usr/lib/ferrite/curl.ts "$@"\n', 0o755),
  ]
}
