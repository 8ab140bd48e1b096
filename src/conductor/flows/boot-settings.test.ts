import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HardwareFault } from '#drivers/driver.ts'
import { caller, eventually, startEngine } from '../test-engine.ts'
import { bootSettings } from './boot-settings.ts'

/** A machine that takes secure boot, and refuses the boot mode "bios". */
function machine() {
  const asked: unknown[] = []
  const management = {
    async setBootMode(_: unknown, mode: string) {
      asked.push(mode)
      if (mode === 'bios') throw new HardwareFault('The BMC refuses the mode')
    },
    async setSecureBoot(_: unknown, enabled: boolean) {
      asked.push(enabled)
    },
  }
  return { asked, context: { interfaces: { management } } }
}

test('boot settings land in the node when the machine has taken them, and a refusal in last_error', async () => {
  const { asked, context } = machine()
  await using world = await startEngine(bootSettings, { context })
  const uuid = await world.addNode('manageable')
  const run = async (args: Record<string, unknown>) => {
    await world.engine.begin({ nodeUuid: uuid, kind: 'boot settings', args, event: null, caller })
    await eventually('the end', async () => (await world.node(uuid)).reservation === null)
    return world.node(uuid)
  }
  assert.equal((await run({ boot_mode: 'uefi' })).boot_mode, 'uefi')
  assert.equal((await run({ secure_boot: true })).secure_boot, true)
  assert.equal((await run({ secure_boot: false })).secure_boot, false)
  const refused = await run({ boot_mode: 'bios' })
  assert.equal(refused.boot_mode, 'uefi')
  assert.match(refused.last_error ?? '', /refuses the mode/)
  assert.equal(refused.provision_state, 'manageable')
  assert.deepEqual([asked[0], asked[1], asked[2], asked[3]], ['uefi', true, false, 'bios'])
})
