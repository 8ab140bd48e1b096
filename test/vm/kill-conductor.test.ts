/**
 * One deployment of a real machine during which the service is killed five times. It comes to its end by itself, and
 * the machine notices nothing. Needs root and QEMU. `npm run chaos:vm` does more of it.
 */
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { makeImage } from './disk-image.ts'
import { deployUnder, killAt, moments } from './kills.ts'
import { World } from './world.ts'

let world: World

before(async () => {
  // Switching on takes long enough to be seen.
  world = await World.open({ name: 'kill', firmware: 'bios', powerDelayMs: 3000 })
  await world.enrol()
  await world.service.api.create('/v1/ports', { node_uuid: world.uuid, address: world.machine.nics[0]?.mac })
  await world.change('/automated_clean', false)
  await world.bring('manage', 'manageable')
  await world.bring('provide', 'available')
})
after(() => world?.close())

it('a deployment outlives the death of the service at five moments', async t => {
  // Full, so that writing it takes long enough to be met.
  const image = await makeImage(join(world.imageFolder, 'large.raw'), 'LARGE', 768, 768)
  await deployUnder(world, { verb: 'active', image, name: 'LARGE', boots: true }, async () => {
    for (const moment of moments) t.diagnostic(await killAt(world, moment, image))
  })
})
