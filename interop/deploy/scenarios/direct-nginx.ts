/** The operator's nginx in place of our file server: it serves [deploy] http_root, whose links lead to the images. */
import assert from 'node:assert/strict'
import { forNginx } from '#lab/host-packages.ts'
import { startNginx } from '../nginx.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'direct-nginx',
  title: 'direct, image_download_source local: nginx serves http_root, boot files and image, in place of Ferrite',
  packages: forNginx,
  async run(world) {
    const root = await world.folder('http-root')
    const web = await startNginx(world, { root })
    await world.configure({ deploy: { http_url: web.url, http_root: root }, ferrite: { http_serve: false } })
    await world.makeAvailable()
    await world.deploy(world.imageAt(`file://${world.image.raw}`), { hostname: 'nginx-1' })
    const gets = (await web.requests()).filter(line => line.includes(` GET /agent_images/${world.lab.uuid}`))
    assert.ok(gets.length > 0, 'the image came from nginx')
  },
} satisfies Scenario
