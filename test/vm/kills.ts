/**
 * Deployments during which the service is killed and started again: at which moments, and what must be true in the end.
 * A moment is recognised by what the API and the machine show, and proven by the record that the dead service left.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MachineStatus } from '#lab/supervisor.ts'
import { bootMessage, type DiskImage, hashOfStart } from './disk-image.ts'
import type { Node, World } from './world.ts'

export interface Moment {
  name: string
  /** Whether it is now. */
  isNow(node: Node, machine: MachineStatus): boolean
  /** The step that the flow's record must end with. */
  step: RegExp
  /** Makes the moment long enough to be met. */
  stretch?(world: World): Promise<void>
  /** What else must hold while the service is dead. */
  proof?(world: World, image: DiskImage): Promise<void>
}

const stepOf = (node: Node) => (node.deploy_step as { step?: string } | null)?.step // an object by the API's schema
const writingOf = (node: Node) =>
  (node.driver_internal_info as { progress?: { phase: string; bytes: number; total_bytes: number | null } | null })
    .progress // as protocol/progress.ts says

/** In the order in which a deployment comes by. */
export const moments: readonly Moment[] = [
  {
    name: 'powering on',
    isNow: (node, machine) => stepOf(node) === 'deploy' && machine.power === 'PoweringOn',
    step: /^(deploy 1 deploy\.deploy: begin|boot deploy.*)$/,
    proof: async world => assert.equal((await world.status()).power, 'PoweringOn'),
  },
  {
    name: 'waiting for the agent',
    isNow: (node, machine) => node.provision_state === 'wait call-back' && machine.power === 'On' && !writingOf(node),
    step: /^agent of deploy$/,
  },
  {
    name: 'writing',
    isNow: node => {
      const writing = writingOf(node)
      return writing?.phase === 'write' && writing.bytes > 0 && writing.bytes < (writing.total_bytes ?? 0) / 2
    },
    step: /^write image: done$/,
    // The first block comes last.
    proof: async (world, image) =>
      assert.notEqual(await hashOfStart(world.disk, 512), await hashOfStart(image.file, 512)),
  },
  {
    name: 'after the write',
    isNow: node => stepOf(node) === 'prepare_instance_boot',
    step: /prepare_instance_boot: begin$|^partition uuids$|^install boot loader/,
    stretch: world => world.lab.fault(world.machine.name, 'bmc-delay', '1500'),
    async proof(world, image) {
      await world.lab.fault(world.machine.name, 'bmc-delay', '0')
      assert.equal(await hashOfStart(world.disk, image.sizeBytes), image.sha256)
    },
  },
  {
    name: 'rebooting',
    isNow: (node, machine) => stepOf(node) === 'boot_instance' && machine.power === 'PoweringOn',
    step: /boot_instance: begin$|^boot the instance: /,
    proof: async world => assert.equal((await world.status()).power, 'PoweringOn'),
  },
]

/** Kills the service at a moment and starts it again. @returns what was met, for the log of a test */
export async function killAt(world: World, moment: Moment, image: DiskImage): Promise<string> {
  await moment.stretch?.(world)
  await world.seen(moment.name, moment.isNow)
  await world.service.kill('SIGKILL')
  const step = lastStep(world)
  assert.match(step, moment.step, `killed in another step than ${moment.name} has`)
  await moment.proof?.(world, image)
  const backMs = await world.service.resume()
  return `killed while ${moment.name}, in "${step}"; back after ${Math.round(backMs)} ms`
}

/**
 * Deploys (or rebuilds) while `kills` goes on, and expects what an undisturbed deployment has: the node active, the
 * image on the disk and running, one write, one power cycle. Nobody helps.
 * @param deployment.boots whether the image can run on this machine
 */
export async function deployUnder(
  world: World,
  deployment: { verb: 'active' | 'rebuild'; image: DiskImage; name: string; boots: boolean },
  kills: () => Promise<void>,
): Promise<void> {
  const { verb, image, name, boots } = deployment
  await world.chooseImage(image)
  const from = await world.serialSize()
  const before = (await world.status()).counters
  await world.ask(verb)
  await kills()
  const node = await world.reached('active')
  assert.deepEqual([node.last_error, node.reservation, node.power_state], [null, null, 'power on'])
  if (boots) await world.says(bootMessage(name), from)
  assert.equal(await hashOfStart(world.disk, image.sizeBytes), image.sha256)

  const { text } = await world.lab.serialText(world.machine.name, from)
  const writes = text.match(/Command deploy\.execute_deploy_step \(\S+\) starts/g) ?? []
  assert.equal(writes.length, 1, `the agent began to write ${writes.length} times`)
  const after = (await world.status()).counters
  const expected = {
    ...before,
    power_ons: before.power_ons + 2,
    guest_offs: before.guest_offs + 1,
    // A running instance is not asked before it is written over.
    forced_offs: before.forced_offs + (verb === 'rebuild' ? 1 : 0),
  }
  assert.deepEqual(after, expected, 'the machine is switched on for the agent and for the instance, and never reset')
}

/**
 * Kills at random, until the node is active or has failed, or it was often enough. Not while the machine's firmware looks
 * for its boot: one that got an address and then no boot script gives up for good, and the deployment ends by its
 * timeout. From the script on every download is tried again.
 * @param random numbers from 0 to 1
 */
export async function killAtRandom(world: World, random: () => number, log: (line: string) => void): Promise<void> {
  const from = await world.serialSize()
  const isInFirmware = async (state: unknown) => {
    if (state !== 'deploying' && state !== 'wait call-back') return false
    return !/ferrite: /i.test((await world.lab.serialText(world.machine.name, from)).text)
  }
  for (let left = 12; left > 0; left--) {
    await sleep(random() * 25_000)
    const { provision_state } = await world.node()
    if (provision_state === 'active' || provision_state === 'deploy failed') return
    if ((await world.status()).power !== 'Off' && (await isInFirmware(provision_state))) continue
    await world.service.kill('SIGKILL')
    const step = lastStep(world)
    const downMs = Math.round(random() ** 3 * 20_000)
    await sleep(downMs)
    await world.service.resume()
    log(`killed in "${step}", away for ${downMs} ms`)
  }
}

/** Where the node's flow stands in the record of a service that does not run. */
function lastStep(world: World): string {
  const database = new DatabaseSync(join(world.lab.state.directory, 'service', 'ferrite.sqlite'))
  try {
    const newest = 'SELECT max(id) FROM flows WHERE node_uuid = ?'
    const rows = database
      .prepare(`SELECT name FROM flow_steps WHERE flow_id = (${newest}) ORDER BY seq`)
      .all(world.uuid)
    return String(rows.at(-1)?.name)
  } finally {
    database.close()
  }
}
