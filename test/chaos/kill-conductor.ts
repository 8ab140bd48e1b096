/**
 * `npm run chaos:vm`: kills the service again and again while it deploys a real machine, for as long as asked. First each
 * moment of `kills.ts` in a deployment of its own, then at random. Ends with status 1 at the first deployment that did
 * not come out as if nothing had been, and says how to repeat it. Needs root and QEMU.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeImage } from '../vm/disk-image.ts'
import { deployUnder, killAt, killAtRandom, moments } from '../vm/kills.ts'
import { World } from '../vm/world.ts'

const usage = `Usage: npm run chaos:vm -- [OPTION...]

  --seed N      what chance decides: when the service dies, and how long it stays away (the time of day)
  --rounds N    deployments with kills at random (5)
  --random      these alone
  --uefi        a machine with UEFI; one with a BIOS otherwise, which starts faster
  -h, --help    this text`

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rounds: { type: 'string', default: '5' },
    random: { type: 'boolean', default: false },
    uefi: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) console.log(usage)
else process.exitCode = await chaos(values.seed, Number(values.rounds))

async function chaos(seed: string, rounds: number): Promise<number> {
  const firmware = values.uefi ? 'uefi' : 'bios'
  console.log(`seed ${seed}, ${values.random ? 0 : moments.length} moments and ${rounds} random rounds, ${firmware}`)
  const world = await World.open({ name: 'chaos', firmware, powerDelayMs: 3000 })
  let round = 'preparation'
  try {
    await world.enrol()
    await world.service.api.create('/v1/ports', { node_uuid: world.uuid, address: world.machine.nics[0]?.mac })
    await world.change('/automated_clean', false)
    await world.bring('manage', 'manageable')
    await world.bring('provide', 'available')
    // Full, so that writing them takes long enough to be met.
    const imageOf = (name: string) => makeImage(join(world.imageFolder, name), name, 768, 768)
    const images = await Promise.all(['EVEN', 'ODD'].map(async name => ({ name, image: await imageOf(name) })))
    let count = 0
    /** Each deployment writes another image than the one before. */
    const next = async (title: string, kills: (image: (typeof images)[number]['image']) => Promise<void>) => {
      round = title
      console.log(`== ${title}`)
      const began = performance.now()
      const chosen = images[count % 2]
      if (!chosen) throw new Error('there are two images')
      const verb = count++ === 0 ? 'active' : 'rebuild'
      await deployUnder(world, { verb, ...chosen, boots: firmware === 'bios' }, () => kills(chosen.image))
      console.log(`   active in ${((performance.now() - began) / 1000).toFixed(1)} s`)
    }
    for (const moment of values.random ? [] : moments) {
      await next(moment.name, async image => console.log(`   ${await killAt(world, moment, image)}`))
    }
    for (let number = 1; number <= rounds; number++) {
      const random = chance(`${seed}/${number}`)
      await next(`random round ${number}`, () => killAtRandom(world, random, line => console.log(`   ${line}`)))
    }
    return 0
  } catch (error) {
    console.error(`FAILED in ${round}; again: npm run chaos:vm -- ${process.argv.slice(2).join(' ')} --seed ${seed}`)
    console.error(error)
    console.error(`the service said last:\n${await world.service.lastLines(20)}`)
    return 1
  } finally {
    await world.close()
  }
}

/** Numbers from 0 to 1, the same ones for the same seed. */
function chance(seed: string): () => number {
  let count = 0
  return () => createHash('sha256').update(`${seed}/${count++}`).digest().readUInt32BE(0) / 2 ** 32
}
