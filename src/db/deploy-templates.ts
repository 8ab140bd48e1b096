/** Queries on deploy templates beyond those that every plain table has. */
import { deployTemplateFields } from '#protocol/deploy-template.ts'
import { codecOf, type Stored } from './codec.ts'
import type { Db, Trx } from './database.ts'

const codec = codecOf(deployTemplateFields)

/** The templates with these names, in the order of their names. */
export async function deployTemplatesNamed(
  db: Db | Trx,
  names: readonly string[],
): Promise<Stored<typeof deployTemplateFields>[]> {
  if (names.length === 0) return []
  const rows = await db.selectFrom('deploy_templates').selectAll().where('name', 'in', names).orderBy('name').execute()
  return rows.map(row => codec.decode(row as Parameters<typeof codec.decode>[0])) // a row of the table has all columns
}
