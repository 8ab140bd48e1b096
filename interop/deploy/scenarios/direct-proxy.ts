/**
 * Machines fetch an image of a real Swift through a real caching Squid. The temporary URL is handed out again while it is
 * good, so the second fetch comes out of the cache.
 */
import assert from 'node:assert/strict'
import { forSquid } from '#lab/host-packages.ts'
import { forOpenstack, startOpenstack } from '../openstack.ts'
import type { Scenario } from '../scenario.ts'
import { startSquid } from '../squid.ts'

export default {
  name: 'direct-proxy',
  title: 'direct, swift, image_http_proxy: Squid of Debian caches what it fetches from Swift by temporary URL',
  packages: [...forOpenstack, ...forSquid],
  async run(world) {
    await using openstack = await startOpenstack(world)
    const upload = { file: world.image.raw, disk_format: 'raw', visibility: 'public' } as const
    const image = await openstack.uploader.upload(upload)
    const squid = await startSquid(world)
    const cache = {
      swift_temp_url_key: 'a key of the configuration',
      swift_temp_url_cache_enabled: true,
      swift_temp_url_expected_download_start_delay: 60,
      swift_temp_url_duration: 3600,
    }
    await openstack.setAccount({ 'x-account-meta-temp-url-key': cache.swift_temp_url_key })
    await world.configure({
      ...openstack.config,
      glance: { ...openstack.config.glance, ...cache },
      agent: { image_download_source: 'swift' },
    })
    await world.makeAvailable({ image_http_proxy: squid.url })
    await world.deploy({ image_source: image }, { hostname: 'proxy-1' })
    // Only its download is looked at: the first has shown that what comes through the proxy boots.
    await world.lab.bring('rebuild', 'active')
    const fetched = (await squid.requests()).filter(line => line.endsWith(' GET'))
    world.notes.push(`Squid: ${fetched.map(line => line.split(' ').slice(1, 3).join(' ')).join(', ')} bytes`)
    assert.equal(fetched.length, 2, `two downloads through the proxy; found ${fetched.join('; ')}`)
    assert.match(fetched[0] ?? '', / TCP_MISS\/200 /)
    assert.match(fetched[1] ?? '', / TCP_(MEM_)?HIT\/200 /)
  },
} satisfies Scenario
