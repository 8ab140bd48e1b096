/** The service fetches the image from a web server, makes a raw disk of it, and serves it by its own file server. */
import assert from 'node:assert/strict'
import { forNginx } from '#lab/host-packages.ts'
import { startNginx } from '../nginx.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'direct-local',
  title: 'direct, image_download_source local: qcow2 by URL of nginx, converted and served by Ferrite',
  packages: forNginx,
  async run(world) {
    const web = await startNginx(world, { root: world.image.qcow2.replace(/[^/]+$/, '') })
    await world.makeAvailable({ image_download_source: 'local' })
    const { file } = world.image.manifest.qcow2
    await world.deploy(world.imageAt(`${web.url}/${file}`, 'qcow2'), { hostname: 'local-1' })
    const asked = (await web.requests()).filter(line => line.includes(file))
    assert.deepEqual(asked.map(line => line.split(' ')[1]).filter(method => method === 'GET').length, 1)
    assert.ok(
      asked.every(line => line.startsWith(`${world.address} `)),
      `only the service fetches the image; found ${asked.join(', ')}`,
    )
  },
} satisfies Scenario
