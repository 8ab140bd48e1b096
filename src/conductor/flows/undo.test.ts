import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import direct from '#drivers/agent/direct.ts'
import inspectInterface from '#drivers/agent/inspect.ts'
import { HardwareFault } from '#drivers/driver.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { Shared } from '../shared.ts'
import { caller, eventually, startEngine } from '../test-engine.ts'
import { clean } from './clean.ts'
import { inspect } from './inspect.ts'

/** What rules would ask; none runs here. */
const noDrivers = {
  allowBoots: async () => {},
  interfacesFor: () => assert.fail('no rule runs'),
  secretKeys: () => new Set<string>(),
}

const cases: [definition: FlowDefinition, event: string, failed: string][] = [
  [clean, 'provide', 'clean failed'],
  [inspect(noDrivers), 'inspect', 'inspect failed'],
]

for (const [definition, event, failed] of cases) {
  test(`${definition.kind}: whose BMC is gone leaves nothing to boot from the network`, async () => {
    const files = new Set<string>()
    const no = async () => {
      throw new HardwareFault('BMC does not answer')
    }
    let reachable = true
    const config = await loadConfig({ overrides: { conductor: { poweroff_in_cleanfail: true } } })
    const context = {
      config,
      shared: new Shared().get,
      ports: [{ address: '52:54:00:00:00:01', pxe_enabled: true }],
      interfaces: {
        power: {
          get: async () => (reachable ? 'power off' : no()),
          set: async (_: unknown, target: string) => {
            if (target === 'power on') reachable = false
            if (!reachable) await no()
          },
        },
        network: { attach: async () => {}, detach: async () => {} },
        boot: {
          validate: async () => {},
          prepareRamdisk: async () => void files.add('script'),
          cleanUpRamdisk: async () => void files.delete('script'),
        },
        deploy: direct,
        management: {
          macAddresses: async () => [],
          getBootDevice: async () => ({ boot_device: null, persistent: null }),
        },
        inspect: inspectInterface,
      },
    }
    await using world = await startEngine(definition, { context })
    const uuid = await world.addNode('manageable')
    await world.engine.begin({ nodeUuid: uuid, kind: definition.kind, args: {}, event, caller })
    await eventually(failed, async () => (await world.node(uuid)).provision_state === failed)
    assert.equal(reachable, false)
    assert.deepEqual([...files], [])
    assert.match((await world.node(uuid)).last_error ?? '', /BMC does not answer/)
  })
}
