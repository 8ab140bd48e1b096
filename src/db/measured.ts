/** What the database's drivers tell of each statement. */
import { measure } from '#lib/measure.ts'

type Engine = 'sqlite' | 'postgresql'

export const statementsDone = measure<{
  engine: Engine
  /** From asking to the rows; of a write to SQLite, to the commit of its turn. */
  durationMs: number
  failed: boolean
}>('ferrite:database:statement')

/** Runs a statement and tells how long it took. */
export async function timedStatement<T>(engine: Engine, run: () => Promise<T>): Promise<T> {
  const beganMs = performance.now()
  let failed = true
  try {
    const result = await run()
    failed = false
    return result
  } finally {
    statementsDone.tell({ engine, durationMs: performance.now() - beganMs, failed })
  }
}
