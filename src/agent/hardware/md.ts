/**
 * Arrays of the kernel's own RAID, as mdadm tells them: names, members, which run. It changes nothing; building and
 * deleting are in software-raid.ts.
 *
 * Source: mdadm(8), `--detail --export`, `--examine --export`.
 */
import { basename } from 'node:path'
import { run } from '#lib/run.ts'
import { readOrNull } from './block-devices.ts'

/** Volume name of a running array, without the host that made it; null for what is none or has no name. */
export async function arrayNameOf(device: string): Promise<string | null> {
  if ((await readOrNull(`/sys/class/block/${basename(device)}/md/level`)) === null) return null
  const { stdout } = await run('mdadm', ['--detail', '--export', device])
  return nameIn(stdout)
}

/** Volume name of the array that a disk or partition belongs to by its own superblock, running or not. */
export async function memberArrayName(device: string): Promise<string | null> {
  const found = await examine(device)
  return found === null ? null : nameIn(found)
}

/** Whether a disk or partition has a RAID superblock. */
export async function isMember(device: string): Promise<boolean> {
  return (await examine(device)) !== null
}

/** Null without a superblock, which is what mdadm ends with 1 for; a mdadm that is missing is an error. */
async function examine(device: string): Promise<string | null> {
  try {
    const { stdout } = await run('mdadm', ['--examine', '--export', device])
    return /^MD_(UUID|LEVEL|NAME)=/m.test(stdout) ? stdout : null
  } catch (error) {
    if (error instanceof Error && / ended with status 1\b/.test(error.message)) return null
    throw error
  }
}

/** mdadm puts the host's name and a colon before a name it was given, save for `any`. */
function nameIn(exported: string): string | null {
  const name = /^MD_NAME=(.*)$/m.exec(exported)?.[1]?.trim() ?? ''
  return name.slice(name.indexOf(':') + 1) || null
}
