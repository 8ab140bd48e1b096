/** An image of a real Glance in a real Swift: the machine fetches it from there by a temporary URL, past the service. */
import { forOpenstack, startOpenstack } from '../openstack.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'direct-swift',
  title: 'direct, image_download_source swift: Keystone, Glance and Swift of Debian; temporary URL, key of the account',
  packages: forOpenstack,
  async run(world) {
    await using openstack = await startOpenstack(world, { containersSeed: 3 })
    const upload = { file: world.image.raw, disk_format: 'raw', visibility: 'public' } as const
    const image = await openstack.uploader.upload(upload)
    await openstack.setAccount({ 'x-account-meta-temp-url-key': 'a key of the account' })
    await world.configure({
      ...openstack.config,
      glance: { ...openstack.config.glance, swift_store_multiple_containers_seed: 3 },
      agent: { image_download_source: 'swift' },
    })
    await world.makeAvailable()
    await world.deploy({ image_source: `glance://${image}` }, { hostname: 'swift-1' })
  },
} satisfies Scenario
