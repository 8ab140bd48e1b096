import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FlowContext } from '#drivers/driver.ts'
import { prepareInstanceBoot } from '#drivers/instance.ts'
import type { BootDevice } from '#protocol/states.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { Shared } from '../shared.ts'
import { caller, eventually, startEngine } from '../test-engine.ts'
import { power } from './power.ts'

/** A machine whose BMC keeps a boot device for one boot only, or for good. */
function machine(keeps: boolean) {
  const state = { power: 'power off', device: null as BootDevice | null, boots: [] as (BootDevice | null)[] }
  const management = {
    getBootDevice: async () => ({ boot_device: state.device, persistent: state.device && keeps }),
    async setBootDevice(_: unknown, device: BootDevice) {
      state.device = device
    },
  }
  const interfaces = {
    management,
    boot: { prepareInstance: (ctx: FlowContext) => management.setBootDevice(ctx, 'disk') },
    power: {
      get: async () => state.power,
      async set(_: unknown, target: string) {
        state.power = target
        if (target !== 'power on') return
        state.boots.push(state.device)
        if (!keeps) state.device = null
      },
    },
  }
  return {
    state,
    context: { interfaces, shared: new Shared().get, config: { conductor: { power_state_change_timeout: 60 } } },
  }
}

const prepare: FlowDefinition = {
  kind: 'deploy',
  async run(ctx) {
    await ctx.flow.once('prepare', async () => prepareInstanceBoot(await ctx.fresh()))
    return 'done'
  },
}

for (const keeps of [false, true]) {
  test(`a machine that ${keeps ? 'keeps' : 'forgets'} its boot device boots from its disk whenever it is switched on`, async () => {
    const { state, context } = machine(keeps)
    await using world = await startEngine([prepare, power], { context })
    const uuid = await world.addNode('available')
    await world.engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
    await eventually('is active', async () => (await world.node(uuid)).provision_state === 'active')
    for (const target of ['power on', 'rebooting', 'power off', 'power on']) {
      const args = { target }
      await eventually('may be changed', async () => {
        await world.engine.begin({ nodeUuid: uuid, kind: 'power', args, event: null, caller })
        return true
      })
      await eventually(target, async () => (await world.node(uuid)).lease === null)
    }
    assert.deepEqual(state.boots, ['disk', 'disk', 'disk'])
    const { boot_device_once: once } = (await world.node(uuid)).driver_internal_info
    assert.equal(once, keeps ? undefined : 'disk')
  })
}
