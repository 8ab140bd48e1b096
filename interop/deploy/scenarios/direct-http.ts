/** The agent fetches the image from a web server by itself; the service only looks whether it is there. */
import assert from 'node:assert/strict'
import { forNginx } from '#lab/host-packages.ts'
import { startNginx } from '../nginx.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'direct-http',
  title: 'direct, image_download_source http: raw image by URL of nginx, fetched by the agent',
  packages: forNginx,
  async run(world) {
    const web = await startNginx(world, { root: world.image.raw.replace(/[^/]+$/, '') })
    await world.makeAvailable()
    const { file } = world.image.manifest.raw
    await world.deploy(world.imageAt(`${web.url}/${file}`), { hostname: 'http-1' })
    const gets = (await web.requests()).filter(line => line.includes(` GET /${file} `))
    assert.ok(gets.length > 0, 'the image was fetched')
    assert.ok(
      gets.every(line => !line.startsWith(`${world.address} `)),
      `only the machine fetches the image; found ${gets.join(', ')}`,
    )
  },
} satisfies Scenario
