/**
 * Steps that clean what the firmware keeps for the operating system: crash records (pstore) and entries of the boot list.
 *
 * Source: openstack/ironic-python-agent `hardware.py`, `efi_utils.py` (names, patterns); the kernel's documentation of
 * pstore.
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../errors.ts'
import { listEntries, removeEntry } from '../image/boot/boot-entries.ts'
import type { Step, StepRun } from './manager.ts'

/** Entries that installed systems made: of a hard disk's partition, or with the loaders that distributions use. */
const systemEntries = ['^HD\\(', 'shim.*\\.efi', 'grub.*\\.efi']

export const erasePstoreStep: Step = {
  step: 'erase_pstore',
  interface: 'deploy',
  offered: { clean: { priority: 0, abortable: true } },
  run: async (_args, context) => await erasePstore(context),
}

export const cleanNvramStep: Step = {
  step: 'clean_uefi_nvram',
  interface: 'deploy',
  offered: { clean: { priority: 0, abortable: true }, deploy: { priority: 0 } },
  argsinfo: {
    match_patterns: {
      description:
        'Regular expressions; boot entries go whose device path one of them is found in, whatever the case of letters. ' +
        'Default: entries of partitions, of shim and of GRUB.',
      required: false,
    },
  },
  run: async ({ match_patterns: patterns }, { agent }) => {
    const expressions = readPatterns(patterns ?? systemEntries)
    const removed: string[] = []
    for (const { number, label, path } of await listEntries()) {
      if (!expressions.some(expression => expression.test(path))) continue
      await removeEntry(number)
      removed.push(`${number} ${label}`)
      agent.log.info(`Boot entry ${number} (${label}, ${path}) removed`)
    }
    return removed
  },
}

/** @returns how many records there were */
async function erasePstore({ agent }: StepRun): Promise<string> {
  const { pstoreDir, ownsMachine } = agent.settings
  // Where it is mounted already, this fails, and nothing is lost.
  if (ownsMachine) await run('mount', ['-t', 'pstore', 'pstore', pstoreDir]).catch(() => {})
  const records = await readdir(pstoreDir).catch(() => [])
  const failures: string[] = []
  for (const record of records) {
    await rm(join(pstoreDir, record)).catch(error => failures.push(messageOf(error)))
  }
  if (failures.length === 0) return `${records.length} records removed`
  throw new AgentFault(
    'CleaningError',
    `Removing ${records.length} crash records from ${pstoreDir}, ${failures.length} stayed: ${failures.join('; ')}`,
  )
}

function readPatterns(patterns: unknown): RegExp[] {
  const found = Array.isArray(patterns) ? (patterns as unknown[]) : []
  try {
    if (found.length > 0 && found.every(one => typeof one === 'string' && one !== '')) {
      return found.map(one => new RegExp(String(one), 'i'))
    }
  } catch {} // The message is the same for all that cannot be read.
  throw new AgentFault(
    'CleaningError',
    `Cannot read match_patterns: found ${JSON.stringify(patterns)}, expected a list of regular expressions; nothing was removed`,
  )
}
