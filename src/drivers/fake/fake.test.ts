import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInput } from '#lib/fault.ts'
import { type FlowContext, Unsupported } from '../driver.ts'
import noInspect from '../generic/no-inspect.ts'
import noRescue from '../generic/no-rescue.ts'
import noopManagement from '../generic/noop-management.ts'
import noop from '../generic/noop-network.ts'
import flat from '../neutron/flat-network.ts'
import { testContext } from '../test-context.ts'
import boot from './boot.ts'
import { takeTime } from './machine.ts'
import management from './management.ts'
import power from './power.ts'
import rescue from './rescue.ts'

test('power is what the row says until it is asked for, and then what was asked', async () => {
  const ctx = await testContext({ node: { power_state: 'power on' } })
  assert.equal(await power.get(ctx), 'power on')
  for (const [target, state] of [
    ['power off', 'power off'],
    ['reset', 'power on'],
    ['soft power off', 'power off'],
    ['power on', 'power on'],
  ] as const) {
    await power.set(ctx, target)
    // The row still has the old state: the conductor writes it later.
    assert.equal(await power.get(ctx), state)
  }
  const other = { ...ctx, node: { ...ctx.node, uuid: '22222222-2222-4333-8444-555555555555', power_state: null } }
  assert.equal(await power.get(other), 'power off')
})

test('boot sets the boot device of the same machine', async () => {
  const ctx = await testContext({ interfaces: { management } })
  assert.deepEqual(await management.getBootDevice(ctx), { boot_device: null, persistent: null })
  await boot.prepareRamdisk(ctx, { mode: 'deploy', parameters: {} })
  assert.deepEqual(await management.getBootDevice(ctx), { boot_device: 'pxe', persistent: false })
  await boot.prepareInstance(ctx)
  assert.deepEqual(await management.getBootDevice(ctx), { boot_device: 'disk', persistent: true })
})

test('a machine without management keeps its boot order, and refuses what needs a BMC', async () => {
  const ctx = await testContext({ interfaces: { management: noopManagement } })
  await boot.prepareRamdisk(ctx, { mode: 'deploy', parameters: {} })
  await boot.prepareInstance(ctx)
  assert.deepEqual(await noopManagement.getBootDevice(ctx), { boot_device: null, persistent: null })
  await assert.rejects(
    noopManagement.setBootDevice(ctx, 'cdrom', { persistent: false }),
    /from "cdrom".*pxe, then disk/,
  )
  await assert.rejects(noopManagement.injectNmi(ctx), Unsupported)
})

test('a fake rescue takes the time of rescues', async () => {
  const ctx = await testContext({ config: { fake: { rescue_delay: '3', deploy_delay: '7' } } })
  const flow = { once: (_: string, work: () => Promise<unknown>) => work() }
  await rescue.cleanUp({ ...ctx, flow } as unknown as FlowContext) // all that it looks at
  assert.deepEqual(ctx.pauses, [3000])
})

test('operations take the configured time', async () => {
  const ctx = await testContext({ config: { fake: { power_delay: '2', boot_delay: '1,5', inspect_delay: '5,1' } } })
  await power.set(ctx, 'power on')
  await takeTime(ctx, 'boot', () => 0)
  await takeTime(ctx, 'boot', () => 1)
  await takeTime(ctx, 'boot', () => 0.5)
  await takeTime(ctx, 'management')
  const [whole, low, high, middle, ...more] = ctx.pauses
  assert.deepEqual([whole, low, high, more], [2000, 1000, 5000, []])
  assert.ok(middle !== undefined && middle > 1000 && middle < 3000, 'low times are likelier')
  await assert.rejects(takeTime(ctx, 'inspect'), /\[fake\] inspect_delay "5,1": expected SECONDS or FROM,TO/)
})

test('the interfaces that are not there say so', async () => {
  const ctx = await testContext({})
  await assert.rejects(
    noRescue.validate(ctx),
    new Unsupported(`Rescue is not supported by the rescue interface no-rescue of node ${ctx.node.uuid}`),
  )
  await assert.rejects(noInspect.validate(ctx), Unsupported)
  await noop.validate(ctx)
  await assert.rejects(flat.validate(ctx), InvalidInput)
  await flat.validate({ ...ctx, ports: (await testContext({ ports: [{}] })).ports })
})
