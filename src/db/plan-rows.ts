/** What earlier runs tell of work that is planned: the steps that they took. */
import type { Db } from './database.ts'

/** A step as its run told it when it began. */
export interface TakenStep {
  /** `interface.name` */
  step: string
  priority: number
  side: string
}

/** How far back another node's run may lie, in flows. */
const lookBack = 2000

/**
 * The steps of the last run of these flows that ended well: of the node, else of another with the same driver.
 * `kind`: of the steps. Undefined: there was none.
 */
export async function stepsTaken(
  db: Db,
  { uuid, driver, deploy_interface }: { uuid: string; driver: string; deploy_interface: string | null },
  { flows, kind }: { flows: readonly string[]; kind: string },
): Promise<{ steps: TakenStep[]; sameNode: boolean } | undefined> {
  const ended = db
    .selectFrom('flows')
    .select(['flows.id', 'flows.node_uuid'])
    .where('flows.state', '=', 'done')
    .where('flows.kind', 'in', [...flows])
    .orderBy('flows.id', 'desc')
    .limit(1)
  const own = await ended.where('flows.node_uuid', '=', uuid).executeTakeFirst()
  const found = own ?? (await likeIt())
  if (!found) return undefined
  const rows = await db
    .selectFrom('events')
    .select('data')
    .where('node_uuid', '=', found.node_uuid)
    .where('flow_id', '=', Number(found.id))
    .where('kind', '=', 'step started')
    .orderBy('id')
    .execute()
  const told = rows.map(({ data }) => JSON.parse(data) as TakenStep & { kind: string }) // as steps/run.ts told it
  // Runs of earlier versions told no more than the name.
  const steps = told.filter(one => one.kind === kind && typeof one.side === 'string')
  return { steps: steps.map(({ step, priority, side }) => ({ step, priority, side })), sameNode: own !== undefined }

  async function likeIt() {
    const newest = await db.selectFrom('flows').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
    if (!newest) return undefined
    return ended
      .innerJoin('nodes', 'nodes.uuid', 'flows.node_uuid')
      .where('flows.id', '>', Number(newest.id) - lookBack)
      .where('nodes.driver', '=', driver)
      .where('nodes.deploy_interface', '=', deploy_interface)
      .executeTakeFirst()
  }
}
