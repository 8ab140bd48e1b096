/** Which conductor has the boot files of instances that boot from the network: the node's own, and no other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeLease } from '#db/nodes.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { BootInterface } from '#drivers/boot-interfaces.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'
import { silent } from '#lib/log.ts'
import { type BootsWorld, keepInstanceBoots } from './instance-boots.ts'
import { addNode } from './test-engine.ts'

test('what is lacked is taken over, what is another conductor’s is let go, and one that fails harms no other', async () => {
  const db = await freshDatabase()
  const ramdisk = { deploy_interface: 'ramdisk', driver: 'd' }
  const uuids = {
    broken: await addNode(db, 'active', ramdisk),
    lacked: await addNode(db, 'active', ramdisk),
    served: await addNode(db, 'active', ramdisk),
    foreign: await addNode(db, 'active', ramdisk),
    foreignUnserved: await addNode(db, 'active', ramdisk),
    onDisk: await addNode(db, 'active', { ...ramdisk, deploy_interface: 'direct' }),
    gone: await addNode(db, 'available', ramdisk),
    held: await addNode(db, 'active', ramdisk),
  }
  const lease = { holder: 'host-2', purpose: 'power', nowMs: Date.now(), forMs: 60_000, visible: true }
  await takeLease(db, uuids.held, lease)
  const nameOf = (uuid: string) => Object.entries(uuids).find(([, known]) => known === uuid)?.[0] ?? uuid
  const done: string[] = []
  const boot: Partial<BootInterface> = {
    async servesInstance({ node }) {
      if (node.uuid === uuids.broken) throw new InvalidInput('no such boot interface')
      return node.uuid === uuids.served || node.uuid === uuids.foreign
    },
    stopServing: async ({ node }) => void done.push(`let go ${nameOf(node.uuid)}`),
  }
  const instanceBoot = () => ({ kind: 'iso', iso: 'x' })
  const world = {
    db,
    log: silent,
    registry: {
      hardwareTypes: [],
      enabledRows: () =>
        ['direct', 'ramdisk'].map(interface_name => ({
          hardware_type: 'd',
          interface_type: 'deploy',
          interface_name,
          is_default: false,
        })),
      interface: ({ deploy_interface: name }: { deploy_interface?: string | null }) =>
        name === 'ramdisk' ? { instanceBoot } : {},
    } as unknown as BootsWorld['registry'], // what is asked of it
    isOurs: node => node.uuid !== uuids.foreign && node.uuid !== uuids.foreignUnserved,
    context: async node => ({ node, interfaces: { boot } }) as unknown as NodeContext, // what is read of it
    takeOver: async node => void done.push(`take over ${nameOf(node.uuid)}`),
  } satisfies BootsWorld
  await keepInstanceBoots(world, new AbortController().signal)
  assert.deepEqual(done, ['take over lacked', 'let go foreign'])
  await db.destroy()
})
