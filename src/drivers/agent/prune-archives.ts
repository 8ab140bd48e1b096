/**
 * Forgets archives of ramdisks' logs: those that are too old, and the oldest where all together are too large. It takes
 * files of a name as archives have it, and no others.
 */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** UUID of the node, what the logs are of, the time. */
const archive = /^[0-9a-f]{8}-[0-9a-f-]{27}_.*\d{4}(-\d\d){5}\.tar\.gz$/

/**
 * @param limits.beforeMs older ones go; null: none for its age
 * @param limits.sizeBytes what all that are left may have together; null: no limit
 * @returns how many went
 */
export async function pruneArchives(
  directory: string,
  limits: { beforeMs: number | null; sizeBytes: number | null },
): Promise<number> {
  const names = (await readdir(directory).catch(() => [])).filter(name => archive.test(name))
  const files = await Promise.all(
    names.map(async name => {
      const path = join(directory, name)
      // Another conductor may have taken it away.
      const found = await stat(path).catch(() => null)
      return found === null ? [] : [{ path, atMs: found.mtimeMs, sizeBytes: found.size }]
    }),
  )
  let [kept, removed] = [0, 0]
  for (const { path, atMs, sizeBytes } of files.flat().sort((a, b) => b.atMs - a.atMs)) {
    kept += sizeBytes
    const tooOld = limits.beforeMs !== null && atMs < limits.beforeMs
    // The newest stays, however large it is.
    const tooMuch = limits.sizeBytes !== null && kept > limits.sizeBytes && kept > sizeBytes
    if (!tooOld && !tooMuch) continue
    await rm(path, { force: true })
    kept -= sizeBytes
    removed++
  }
  return removed
}
