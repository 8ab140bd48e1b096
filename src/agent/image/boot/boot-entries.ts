/**
 * The firmware's list of what to boot, kept in its variables and changed through efibootmgr.
 * Source: efibootmgr(8); openstack/ironic-python-agent `efi_utils.py` (which entries give way).
 */
import { run } from '#lib/run.ts'
import type { Loader } from './loaders.ts'

export interface BootEntry {
  /** Four hexadecimal digits. */
  number: string
  label: string
  /** Device path and file, as efibootmgr prints them. */
  path: string
}

/** Whether this firmware's list can be read from here. */
export async function canListEntries(): Promise<boolean> {
  return await run('efibootmgr', []).then(
    () => true,
    () => false,
  )
}

export async function listEntries(): Promise<BootEntry[]> {
  const { stdout } = await run('efibootmgr', ['-v'])
  return parseEntries(stdout)
}

/** Of UTF-16, which some versions print, every second byte is dropped. */
export function parseEntries(output: string): BootEntry[] {
  return output
    .replaceAll('\0', '')
    .split('\n')
    .map(line => /^Boot([0-9A-Fa-f]{4})\*?\s+(.*?)(?:\t|\s+(?=[A-Z][A-Za-z]*\()|$)(.*)$/.exec(line))
    .filter(found => found !== null)
    .map(([, number = '', label = '', path = '']) => ({ number, label: label.trim(), path: path.trim() }))
}

/**
 * Adds a loader as the first to be tried. Entries of the same name, left by an earlier deployment, go first.
 * @param partition number of the EFI system partition on `disk`
 */
export async function addEntry({ path, label }: Loader, disk: string, partition: number): Promise<void> {
  for (const entry of await listEntries()) {
    if (entry.label === label) await removeEntry(entry.number)
  }
  await run('efibootmgr', ['-v', '-c', '-d', disk, '-p', String(partition), '-w', '-L', label, '-l', path])
}

export async function removeEntry(number: string): Promise<void> {
  await run('efibootmgr', ['-b', number, '-B'])
}
