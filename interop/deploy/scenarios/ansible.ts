/** Playbooks of ours, run by Debian's Ansible over SSH into a ramdisk of ours: writing the image, switching off. */
import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { forAnsible, forNginx } from '#lab/host-packages.ts'
import { run } from '#lib/run.ts'
import { buildRamdisk } from '#ramdisk/build.ts'
import { startNginx } from '../nginx.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'ansible',
  title: "ansible: Ferrite's playbooks by Debian's ansible-playbook over SSH; raw image streamed from nginx",
  packages: [...forAnsible, ...forNginx],
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
    const web = await startNginx(world, { root: dirname(world.image.raw) })
    await world.makeAvailable()
    await lab.change('/deploy_interface', 'ansible')
    await world.deploy(world.imageAt(`${web.url}/${world.image.manifest.raw.file}`), { hostname: 'ansible-1' })

    const { history } = await lab.service.api.get(`/v1/nodes/${lab.uuid}/history/detail`)
    const told = (history as { event: string }[]).map(({ event }) => event)
    for (const playbook of ['deploy.yaml', 'shutdown.yaml']) {
      assert.ok(
        told.some(event => event.startsWith(`Ran the playbook ${playbook}`)),
        `the history tells of ${playbook}; found ${told.join(' | ')}`,
      )
    }
  },
} satisfies Scenario
