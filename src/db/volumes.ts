/** Queries on volumes, for those who boot from them. */
import { volumeConnectorFields, volumeTargetFields } from '#protocol/volume.ts'
import { codecOf, type Stored } from './codec.ts'
import type { Db, Trx } from './database.ts'

const targetCodec = codecOf(volumeTargetFields)
const connectorCodec = codecOf(volumeConnectorFields)

/** The volumes of a node, those to boot from first, and the names that their storage knows the node by. */
export interface Volumes {
  readonly targets: readonly Stored<typeof volumeTargetFields>[]
  readonly connectors: readonly Stored<typeof volumeConnectorFields>[]
}

export async function volumesOf(db: Db | Trx, nodeUuid: string): Promise<Volumes> {
  const [targets, connectors] = await Promise.all([
    db.selectFrom('volume_targets').selectAll().where('node_uuid', '=', nodeUuid).orderBy('boot_index').execute(),
    db.selectFrom('volume_connectors').selectAll().where('node_uuid', '=', nodeUuid).orderBy('id').execute(),
  ])
  return {
    targets: targets.map(row => targetCodec.decode(row)),
    connectors: connectors.map(row => connectorCodec.decode(row)),
  }
}
