/** What was published cannot be booted: found out from the files, once a boot has failed. */
import type { BootSetting } from '../diagnosis.ts'
import type { DamagedFile } from './boot-files.ts'
import type { Diagnosis } from './words.ts'

/** @param fetched what the machine came to @param kinds that count by then */
export function ofDamage(
  { damaged = [] }: BootSetting,
  fetched: string,
  kinds: readonly DamagedFile['kind'][] = ['kernel', 'ramdisk'],
): Diagnosis | undefined {
  const found = damaged.filter(({ kind }) => kinds.includes(kind))
  const [first] = found
  if (!first) return undefined
  return {
    cause: `${first.kind}-damaged`,
    summary: `The machine fetched ${fetched}, but the ${first.kind} cannot be booted: ${first.damage}`,
    evidence: found.map(({ path, damage }) => `${path}: ${damage}`),
    actions: [
      `put a whole ${first.kind} where deploy_${first.kind} says (one of Ferrite's own is built anew by "ferrite ramdisk build --force"), then ask for it again`,
    ],
  }
}
