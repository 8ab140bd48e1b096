/** What operators do by hand through a BMC: lights, secure boot, virtual media, event subscriptions, the clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { stepWorld } from '../../../test/redfish-steps.ts'
import type { NodeContext } from '../driver.ts'
import management from './management.ts'
import { managementSteps } from './management-steps.ts'
import vendor from './vendor.ts'

const call = (ctx: NodeContext, name: keyof typeof vendor.methods, args: Record<string, unknown> = {}) =>
  vendor.methods[name].run(ctx, args)

test('lights are found, switched once, and refused with what there is', async () => {
  await using world = await stepWorld()
  const { ctx } = world
  const lights = async () =>
    (await management.getIndicators?.(ctx))?.map(one => `${one.name}@${one.component} ${one.state}`)
  assert.deepEqual(await lights(), ['1@system off', '1@chassis off'])
  await management.setIndicator?.(ctx, { component: 'chassis', name: '1', state: 'on' })
  await management.setIndicator?.(ctx, { component: 'chassis', name: '1', state: 'on' })
  assert.deepEqual(world.changes, ['PATCH /redfish/v1/Chassis/1'])
  assert.deepEqual(await lights(), ['1@system off', '1@chassis on'])
  const set = (component: 'disk' | 'system', state: 'on' | 'blinking') =>
    assert.rejects(async () => management.setIndicator?.(ctx, { component, name: '1', state }), InvalidInput)
  await set('disk', 'on')
  await set('system', 'blinking')
})

test('secure boot is switched, and left alone where it is as wanted', async () => {
  await using world = await stepWorld()
  await management.setSecureBoot?.(world.ctx, true)
  await management.setSecureBoot?.(world.ctx, true)
  assert.equal(world.board.secureBoot.wanted, true)
  assert.deepEqual(world.changes, ['PATCH /redfish/v1/Systems/1/SecureBoot'])
})

test('subscriptions are made with the defaults of Ironic, shown, and ended', async () => {
  await using world = await stepWorld()
  const { ctx } = world
  const Destination = 'https://203.0.113.5/events'
  const made = await call(ctx, 'create_subscription', { Destination })
  assert.deepEqual(made, { Id: '1', Context: '', Protocol: 'Redfish', Destination, EventTypes: ['Alert'] })
  assert.deepEqual(await call(ctx, 'get_subscription', { id: '1' }), made)
  const all = (await call(ctx, 'get_all_subscriptions')) as { Members: unknown[] } // a collection
  assert.equal(all.Members.length, 1)
  await call(ctx, 'delete_subscription', { id: '1' })
  await assert.rejects(call(ctx, 'delete_subscription', { id: '1' }), NotFound)
  await assert.rejects(call(ctx, 'get_subscription', { id: '1' }), NotFound)

  world.changes.length = 0
  const wrong: Record<string, unknown>[] = [
    {},
    { Destination: 'nowhere' },
    { Destination, EventTypes: ['Party'] },
    { Destination, EventTypes: 'Alert' },
    { Destination, Context: 5 },
    { Destination, Protocol: ['Redfish'] },
    { Destination, HttpHeaders: 'x: y' },
  ]
  for (const args of wrong)
    await assert.rejects(call(ctx, 'create_subscription', args), InvalidInput, JSON.stringify(args))
  for (const id of [undefined, '', '..', 'a/b', 7])
    await assert.rejects(call(ctx, 'delete_subscription', { id }), InvalidInput)
  assert.deepEqual(world.changes, [], 'nothing of it reached the BMC')
})

test('virtual media are attached and detached by hand, and ejected by the name of their kind', async () => {
  await using world = await stepWorld()
  const { ctx, hardware } = world
  const { virtualMedia } = management
  assert.ok(virtualMedia)
  await virtualMedia.attach(ctx, 'cdrom', { url: 'http://203.0.113.9/a.iso', local: false })
  assert.deepEqual(await virtualMedia.list(ctx), [{ media_types: ['CD', 'DVD'], inserted: true }])
  await call(ctx, 'eject_vmedia', { boot_device: 'floppy' })
  assert.equal(hardware.media()?.image, 'http://203.0.113.9/a.iso')
  await call(ctx, 'eject_vmedia', { boot_device: 'dvd' })
  assert.equal(hardware.media(), null)
  await assert.rejects(
    call(ctx, 'eject_vmedia', { boot_device: 'tape' }),
    /"tape", expected one of cd, dvd, usb, floppy/,
  )
  await virtualMedia.attach(ctx, 'cdrom', { url: 'http://203.0.113.9/b.iso', local: false })
  await virtualMedia.detach(ctx, null)
  assert.equal(hardware.media(), null)
})

test('a clock is checked only where an operator wants it', async () => {
  const verify = managementSteps.find(step => step.step === 'verify_bmc_clock')
  assert.ok(verify)
  await using world = await stepWorld()
  await world.run(verify)
  assert.deepEqual(world.records(), [])
})
