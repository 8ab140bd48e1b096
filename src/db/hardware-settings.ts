/** Writes of what drivers read of a node's BIOS settings and firmware; firmware-rows.ts prints them. */
import type { BiosSetting, FirmwareComponent } from '#protocol/firmware.ts'
import { biosFields } from '#protocol/firmware.ts'
import { codecOf } from './codec.ts'
import { type Db, inTransaction } from './database.ts'

const bios = codecOf(biosFields)

/** Makes these the settings of the node: others go, and one that is as it was keeps its time. */
export async function saveBiosSettings(
  db: Db,
  nodeUuid: string,
  settings: readonly BiosSetting[],
  at: string,
): Promise<void> {
  await inTransaction(db, async trx => {
    const known = await trx.selectFrom('bios_settings').selectAll().where('node_uuid', '=', nodeUuid).execute()
    const before = new Map(known.map(row => [row.name, row]))
    for (const setting of settings) {
      const row = bios.encode(setting)
      const old = before.get(setting.name)
      before.delete(setting.name)
      if (!old) {
        const made = { ...row, name: setting.name, node_uuid: nodeUuid, created_at: at }
        await trx
          .insertInto('bios_settings')
          .values(made as never)
          .execute() // the fields are the table's columns
      } else if (Object.entries(row).some(([name, value]) => old[name as keyof typeof old] !== value)) {
        const where = trx.updateTable('bios_settings').set({ ...row, updated_at: at } as never) // as above
        await where.where('node_uuid', '=', nodeUuid).where('name', '=', setting.name).execute()
      }
    }
    for (const name of before.keys()) {
      await trx.deleteFrom('bios_settings').where('node_uuid', '=', nodeUuid).where('name', '=', name).execute()
    }
  })
}

/**
 * Makes these the components of the node. A version that is another than before counts as flashed; the first one that was
 * seen stays known.
 */
export async function saveFirmware(
  db: Db,
  nodeUuid: string,
  components: readonly FirmwareComponent[],
  at: string,
): Promise<void> {
  await inTransaction(db, async trx => {
    const known = await trx.selectFrom('firmware_components').selectAll().where('node_uuid', '=', nodeUuid).execute()
    const before = new Map(known.map(row => [row.component, row]))
    for (const { component, current_version, ...facts } of components) {
      const old = before.get(component)
      before.delete(component)
      if (!old) {
        const initial_version = current_version ?? ''
        const made = { ...facts, component, current_version, initial_version, node_uuid: nodeUuid, created_at: at }
        await trx.insertInto('firmware_components').values(made).execute()
      } else if (old.current_version !== current_version) {
        const changed = { ...facts, current_version, last_version_flashed: current_version, updated_at: at }
        const where = trx.updateTable('firmware_components').set(changed).where('node_uuid', '=', nodeUuid)
        await where.where('component', '=', component).execute()
      }
    }
    for (const component of before.keys()) {
      const gone = trx.deleteFrom('firmware_components').where('node_uuid', '=', nodeUuid)
      await gone.where('component', '=', component).execute()
    }
  })
}
