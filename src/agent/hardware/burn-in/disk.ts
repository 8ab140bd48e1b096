/**
 * Burning in disks: writes all of them with patterns and reads these back, which destroys what is on them; then, where
 * wanted, has each disk test itself. Disks that must not be erased are not burnt in.
 *
 * Source: openstack/ironic-python-agent `burnin.py` (settings, the shape of the job); fio(1), JSON output; smartctl(8).
 */
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../../errors.ts'
import { reasonToSkip, wipeMetadata } from '../erase-metadata.ts'
import type { StepRun } from '../manager.ts'
import { protectedDevices } from '../skip-list.ts'
import { tried } from './machine.ts'
import { burnInSettings } from './settings.ts'

/** @returns what was found, by disk */
export async function burnInDisks(context: StepRun): Promise<Record<string, string>> {
  const settings = burnInSettings(context.node, 'agent_burnin_fio_disk_')
  const job = {
    loops: settings.count('loops', 4),
    runtime: settings.count('runtime', 0),
    outputFile: settings.path('outputfile'),
  }
  const wantsSmartTest = settings.flag('smart_test')
  const results: Record<string, string> = {}
  const disks: string[] = []
  const found = await context.hardware.call('listBlockDevices')
  const spared = await protectedDevices(context.node, found)
  for (const disk of found) {
    const reason = await reasonToSkip(disk, spared, context)
    if (reason === null) disks.push(disk.name)
    else results[disk.name] = reason
  }
  if (disks.length === 0) return results
  // What is in use is found out before the first disk is written to.
  for (const disk of disks) await wipeMetadata(disk)
  context.progress({ phase: 'burn in disks', bytes: 0, total_bytes: null, detail: disks.join(', ') })
  await verifyAll(disks, job, context)
  for (const disk of disks) results[disk] = 'written and verified'
  if (wantsSmartTest) Object.assign(results, await smartTests(disks, context))
  return results
}

interface Job {
  loops: number
  /** Seconds; 0: as long as the loops take. */
  runtime: number
  outputFile: string | null
}

const Report = Type.Object({
  jobs: Type.Array(
    Type.Object({ jobname: Type.String(), error: Type.Integer(), total_err: Type.Optional(Type.Integer()) }),
  ),
})

/** One job per disk. fio goes on after a block that reads wrong and may end well; its report tells. */
async function verifyAll(
  disks: readonly string[],
  { loops, runtime, outputFile }: Job,
  context: StepRun,
): Promise<void> {
  const { agent, signal } = context
  const dir = await mkdtemp(join(agent.settings.tempDir, 'burn-in-'))
  const report = join(dir, 'fio.json')
  const options = {
    ...{ rw: 'readwrite', bs: '4k', direct: '1', ioengine: 'libaio', iodepth: '32' },
    ...{ verify: 'crc32c', verify_dump: '1', continue_on_error: 'verify', loops: String(loops) },
    ...(runtime > 0 ? { runtime: String(runtime), time_based: '1' } : {}),
    ...{ 'output-format': 'json', output: report },
  }
  const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
  const jobs = disks.flatMap(disk => [`--name=${disk}`, `--filename=${disk}`])
  try {
    // In a folder of its own, for it leaves dumps of blocks that read wrong.
    const ended = await tried('fio', [...args, ...jobs], { signal, cwd: dir }).catch((error: unknown) => error)
    if (outputFile !== null) await copyFile(report, outputFile).catch(error => agent.log.warn(messageOf(error)))
    const bad = await failedDisks(report)
    if (bad.length > 0) {
      throw new AgentFault(
        'CommandExecutionError',
        `Burning in ${disks.length} disks: fio found errors on ${bad.join(', ')}`,
      )
    }
    if (ended instanceof Error) throw ended
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Names of those with errors; none when there is no report, which then has another reason. */
async function failedDisks(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  // Messages may stand before the report.
  const start = text.indexOf('{')
  if (start < 0) return []
  let report: unknown
  try {
    report = JSON.parse(text.slice(start))
  } catch {
    return []
  }
  if (!Value.Check(Report, report)) return []
  return report.jobs
    .filter(({ error, total_err: total = 0 }) => error !== 0 || total > 0)
    .map(({ jobname, error, total_err: total = 0 }) => `${jobname} (${total || 1} errors, the first ${error})`)
}

const SmartAnswer = Type.Object({
  ata_smart_data: Type.Object({
    self_test: Type.Object({ status: Type.Object({ string: Type.String() }) }),
  }),
})

/**
 * Long self tests, on all disks at once. A disk that does not report them is none of a failed test.
 * @throws AgentFault CleaningError naming those whose test failed, or could not be started
 */
async function smartTests(
  disks: readonly string[],
  { agent, signal, progress }: StepRun,
): Promise<Record<string, string>> {
  const refused: string[] = []
  for (const disk of disks) {
    await run('smartctl', ['-t', 'long', disk]).catch(error => refused.push(`${disk}: ${messageOf(error)}`))
  }
  if (refused.length > 0) throw new AgentFault('CleaningError', `Starting SMART self tests: ${refused.join('; ')}`)
  const results: Record<string, string> = {}
  const failed: string[] = []
  let waiting = [...disks]
  for (;;) {
    for (const disk of waiting) {
      const status = await smartStatus(disk)
      if (status?.includes('in progress')) continue
      results[disk] = status === null ? 'written and verified; reports no SMART self test' : `SMART: ${status}`
      if (status !== null && !status.includes('completed without error')) failed.push(`${disk}: ${status}`)
    }
    waiting = waiting.filter(disk => results[disk] === undefined)
    if (waiting.length === 0) break
    progress({ phase: 'smart test', bytes: 0, total_bytes: null, detail: waiting.join(', ') })
    agent.log.info(`SMART self tests are running on ${waiting.join(', ')}`)
    await sleep(agent.settings.smartPollMs, undefined, { signal })
  }
  if (failed.length > 0) throw new AgentFault('CleaningError', `SMART self tests failed: ${failed.join('; ')}`)
  return results
}

/** Null for a disk that does not say. smartctl's status has bits for other news, so only its answer counts. */
async function smartStatus(disk: string): Promise<string | null> {
  try {
    const { stdout } = await run('sh', ['-c', 'smartctl -ja "$1" || true', 'sh', disk])
    const answer: unknown = JSON.parse(stdout)
    return Value.Check(SmartAnswer, answer) ? answer.ata_smart_data.self_test.status.string : null
  } catch {
    return null
  }
}
