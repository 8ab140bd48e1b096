/** Playbooks of ours, run by Debian's Ansible over SSH into a ramdisk of ours: cleaning, writing, switching off. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { run } from '#lib/run.ts'
import { buildRamdisk } from '#ramdisk/build.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'ansible',
  title: "ansible: Ferrite's playbooks by Debian's ansible-playbook over SSH; image by the service, cleaned first",
  packages: ['ansible-core', 'openssh-client'],
  async run(world) {
    const { lab } = world
    const ramdisk = await buildRamdisk({
      outDir: 'var/build/ramdisk-ansible',
      features: ['ansible'],
      log: line => console.log(line),
    })
    const key = join(await world.folder('keys'), 'key')
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    await world.configure({
      DEFAULT: { enabled_deploy_interfaces: 'direct,ansible' },
      conductor: { deploy_kernel: `file://${ramdisk.kernel}`, deploy_ramdisk: `file://${ramdisk.initramfs}` },
      ansible: { default_key_file: key },
    })
    await world.makeAvailable()
    await lab.change('/deploy_interface', 'ansible')
    await lab.bring('manage', 'manageable')
    const clean_steps = [{ interface: 'deploy', step: 'erase_devices_metadata' }]
    await lab.bring('clean', 'manageable', { clean_steps })
    await lab.bring('provide', 'available')

    const image = { ...world.imageAt(`file://${world.image.raw}`), image_download_source: 'local' }
    await world.deploy(image, { hostname: 'ansible-1' })

    const { history } = await lab.service.api.get(`/v1/nodes/${lab.uuid}/history/detail`)
    const told = (history as { event: string }[]).map(({ event }) => event)
    for (const playbook of ['clean.yaml', 'deploy.yaml', 'shutdown.yaml']) {
      assert.ok(
        told.some(event => event.startsWith(`Ran the playbook ${playbook}`)),
        `the history tells of ${playbook}; found ${told.join(' | ')}`,
      )
    }
    world.notes.push('cleaned by playbook before')
  },
} satisfies Scenario
