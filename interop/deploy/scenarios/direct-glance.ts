/** An image of a real Glance: the service fetches it with its own login, checks it by Glance's hash, and serves it. */
import { forOpenstack, startOpenstack } from '../openstack.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'direct-glance',
  title:
    'direct, image_source UUID: Keystone, Glance and Swift of Debian; qcow2 fetched from Glance, converted and served by Ferrite',
  packages: forOpenstack,
  async run(world) {
    await using openstack = await startOpenstack(world)
    const image = await openstack.uploader.upload({
      file: world.image.qcow2,
      disk_format: 'qcow2',
      visibility: 'public',
    })
    await world.configure(openstack.config)
    await world.makeAvailable()
    await world.deploy({ image_source: image }, { hostname: 'glance-1' })
  },
} satisfies Scenario
