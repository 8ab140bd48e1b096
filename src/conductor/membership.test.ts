/**
 * What a conductor says of its clock, how it leaves, and when it lets go of its work; how it lives with others is tested with processes
 * (test/many-conductors.test.ts).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChannel } from '#db/channel.ts'
import { listConductors, registerConductor, releaseStrays, retireConductor } from '#db/conductors.ts'
import { openDatabase } from '#db/database.ts'
import { holders } from '#db/handover.ts'
import { takeLease } from '#db/nodes.ts'
import { freshDatabase, freshPostgres } from '#db/test-database.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { Membership, type MembershipOptions, type NoConductor } from './membership.ts'
import { addNode } from './test-engine.ts'

/** A conductor that has nothing to do. */
const idle = {
  clock: systemClock,
  log: silent,
  hostname: 'host-1',
  group: '',
  interfaces: [],
  intervalMs: () => 100,
  timeoutMs: () => 60_000,
  onWork: async () => {},
  onWake() {},
  onInterrupt() {},
  onTaken() {},
  onFenced() {},
} satisfies Partial<MembershipOptions>

/** Lets a conductor live whose clock is so far ahead; what it says of that. */
async function saidOfClock(aheadMs: number): Promise<string[]> {
  const { url, drop } = await freshPostgres()
  const db = await openDatabase(url, { maxConnections: 2 })
  const channel = await openChannel(url, { process: 'host-1', clock: systemClock, log: silent })
  assert.ok(channel)
  const said: string[] = []
  const { promise: compared, resolve } = Promise.withResolvers<void>()
  const clock = { now: () => Date.now() + aheadMs, sleep: systemClock.sleep }
  const membership = new Membership({
    ...idle,
    db,
    clock,
    log: { ...silent, warn: (_, message) => void said.push(message ?? '') },
    channel: {
      ...channel,
      async serverNowMs() {
        const ms = await channel.serverNowMs?.()
        setTimeout(resolve)
        return ms
      },
    },
  })
  await membership.join()
  membership.watch()
  await compared
  await membership.leave()
  await channel.close()
  await db.destroy()
  await drop()
  return said
}

test('a conductor whose clock is not that of the database says so', async () => {
  assert.deepEqual(await saidOfClock(0), [])
  assert.match((await saidOfClock(-60_000)).join(), /^this host's clock is 60 s behind the database server's; /)
  assert.match((await saidOfClock(60_000)).join(), /^this host's clock is 60 s ahead of the database server's; /)
})

test('a conductor takes up nothing once it said farewell: what was on the way is waited for', async () => {
  const db = await freshDatabase()
  let hear: (message: string) => void = () => {}
  let takenUp = 0
  const { promise: atWork, resolve: begun } = Promise.withResolvers<void>()
  const { promise: gate, resolve: goOn } = Promise.withResolvers<void>()
  const membership = new Membership({
    ...idle,
    db,
    channel: {
      listen(ear) {
        hear = ear
      },
      send() {},
      living: async () => undefined,
      close: async () => {},
    },
    async onWork() {
      begun()
      await gate
      takenUp += 1
    },
  })
  await membership.join()
  hear('joined')
  await atWork
  const left = membership.leave()
  hear('left')
  const isHere = async () => (await listConductors(db)).map(one => one.online)
  assert.deepEqual(await isHere(), [true])
  goOn()
  await left
  hear('joined')
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual([await isHere(), takenUp], [[false], 1])
  await db.destroy()
})

/** One that stood still finds out by its own clock that others may have its nodes, before it asks anybody. */
test('after too long without a sign of life all work is let go, once', async () => {
  const db = await freshDatabase()
  let nowMs = Date.UTC(2026, 0, 1)
  let fenced = 0
  const membership = new Membership({
    ...idle,
    db,
    clock: { now: () => nowMs, sleep: () => new Promise(() => {}) },
    intervalMs: () => 2_000,
    timeoutMs: () => 10_000,
    onFenced: () => {
      fenced += 1
    },
  })
  await membership.join()
  nowMs += 9_999
  membership.fenceIfSilent()
  assert.equal(fenced, 0, 'others wait that long')
  nowMs += 1
  membership.fenceIfSilent()
  membership.fenceIfSilent()
  assert.equal(fenced, 1)
  await db.destroy()
})

test('what stands in the name of a conductor that came back is not let go, whoever thought it was gone', async () => {
  const db = await freshDatabase()
  const life = (incarnation: string) => ({ hostname: 'host-1', incarnation, group: '', nowMs: 1, interfaces: [] })
  const uuid = await addNode(db, 'available')
  const hold = async () => {
    const lease = { holder: 'host-1', purpose: 'deploy', nowMs: 1, forMs: 60_000, visible: true }
    await takeLease(db, uuid, lease)
  }
  await registerConductor(db, life('first'))
  assert.equal(await retireConductor(db, { hostname: 'host-1', incarnation: 'first' }), true)
  await registerConductor(db, life('second'))
  await hold()
  assert.equal(await releaseStrays(db, 'host-1'), false, 'seen as gone before it came back')
  assert.deepEqual(await holders(db), ['host-1'])
  assert.equal(await retireConductor(db, { hostname: 'host-1', incarnation: 'second' }), true)
  await hold()
  assert.equal(await releaseStrays(db, 'host-1'), true)
  assert.deepEqual(await holders(db), [])
  await db.destroy()
})

test('a conductor that was taken for gone asks callers to try again, for nodes that it drives itself', async () => {
  const db = await openDatabase(':memory:')
  const fits = {
    hardware_type: 'redfish',
    interface_type: 'power',
    interface_name: 'redfish',
    is_default: true,
  } as const
  const membership = new Membership({ ...idle, db, group: 'west', interfaces: [fits] })
  const refusal = (node: { driver: string; conductor_group: string }) => {
    try {
      return membership.ownerOf({ uuid: 'n1', ...node })
    } catch (error) {
      return String((error as NoConductor).status)
    }
  }
  assert.equal(refusal({ driver: 'redfish', conductor_group: 'west' }), '503')
  assert.equal(refusal({ driver: 'redfish', conductor_group: '' }), '400')
  assert.equal(refusal({ driver: 'ipmi', conductor_group: 'west' }), '400')
  await membership.join()
  assert.equal(refusal({ driver: 'redfish', conductor_group: 'west' }), 'host-1')
  await membership.leave()
  await db.destroy()
})
