/** What is kept of a node's BIOS settings and firmware when it is read again, and when it cannot be read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HardwareFault } from '#drivers/driver.ts'
import type { BiosSetting, FirmwareComponent } from '#protocol/firmware.ts'
import type { FlowDefinition } from './flow-definition.ts'
import { readHardwareSettings } from './hardware-settings.ts'
import { caller, eventually, startEngine } from './test-engine.ts'

const reading: FlowDefinition = {
  kind: 'verify',
  stateless: true,
  async run(ctx) {
    await readHardwareSettings(ctx, 'read')
    return null
  },
}

const unknown = { lower_bound: null, upper_bound: null, min_length: null, max_length: null }
const setting = (name: string, value: string): BiosSetting => ({
  ...unknown,
  name,
  value,
  attribute_type: 'Enumeration',
  allowable_values: ['On', 'Off'],
  read_only: false,
  reset_required: true,
  unique: null,
})
const component = (name: string, current_version: string): FirmwareComponent => ({
  component: name,
  current_version,
  vendor: 'Acme',
  model: null,
  serial_number: null,
})

test('settings and components follow what the drivers read, and stay where these cannot', async () => {
  let settings = [setting('Turbo', 'On'), setting('Quiet', 'Off')]
  let components = [component('bios', '1.0'), component('bmc', '5.0')]
  let isGone = false
  const read = async <T>(what: () => T): Promise<T> => {
    if (isGone) throw new HardwareFault('BMC does not answer')
    return what()
  }
  const interfaces = {
    bios: { readSettings: () => read(() => settings) },
    firmware: { readComponents: () => read(() => components) },
  }
  await using world = await startEngine(reading, { context: { interfaces } })
  const { db } = world
  const uuid = await world.addNode('manageable')
  const readAgain = async () => {
    await eventually('may be read', async () => {
      await world.engine.begin({ nodeUuid: uuid, kind: 'verify', args: {}, event: null, caller })
      return true
    })
    await eventually('is read', async () => (await world.node(uuid)).lease === null)
    assert.equal((await world.node(uuid)).last_error, null)
    const rows = await db.selectFrom('bios_settings').selectAll().orderBy('name').execute()
    const parts = await db.selectFrom('firmware_components').selectAll().orderBy('component').execute()
    return {
      bios: rows.map(row => `${row.name}=${row.value}${row.updated_at === null ? '' : ' changed'}`),
      firmware: parts.map(
        row => `${row.component} ${row.initial_version} ${row.current_version} ${row.last_version_flashed}`,
      ),
    }
  }

  const first = { bios: ['Quiet=Off', 'Turbo=On'], firmware: ['bios 1.0 1.0 null', 'bmc 5.0 5.0 null'] }
  assert.deepEqual(await readAgain(), first)
  assert.deepEqual(await readAgain(), first, 'what is as it was is not touched')
  isGone = true
  assert.deepEqual(await readAgain(), first, 'a BMC that does not answer takes nothing away')

  isGone = false
  settings = [setting('Turbo', 'Off'), setting('New', 'On')]
  components = [component('bios', '2.0')]
  assert.deepEqual(await readAgain(), { bios: ['New=On', 'Turbo=Off changed'], firmware: ['bios 1.0 2.0 2.0'] })
})
