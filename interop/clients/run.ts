/**
 * `npm run interop:clients`: drives Ferrite with the real clients of Ironic, unmodified, and prints which of their
 * commands were driven. Installs their Debian packages; where that cannot be done it says so and tests nothing.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { forClients } from '#lab/host-packages.ts'
import type { RecordedCommand } from './baremetal.ts'
import { commandsOf, coverageOf, coverageText } from './coverage.ts'
import { whyMissing } from './packages.ts'

const missing = await whyMissing(forClients)
if (missing !== false) {
  console.log(`SKIPPED: the clients are not here, so nothing was tested. ${missing}`)
  process.exit(0)
}

const directory = mkdtempSync(join(tmpdir(), 'ferrite-interop-'))
try {
  process.exitCode = drive(join(directory, 'record'))
} finally {
  rmSync(directory, { recursive: true, force: true })
}

/** @returns the exit status */
function drive(recordFile: string): number {
  const versions = execFileSync('dpkg-query', ['-W', '-f', '$' + '{Package} $' + '{Version}\n', ...forClients], {
    encoding: 'utf8',
  })
  console.log(versions)
  const named = process.argv.slice(2)
  const files = named.length > 0 ? named : globSync(join(import.meta.dirname, '*.test.ts')).sort()
  const options = ['--disable-warning=ExperimentalWarning', '--test', '--test-concurrency=2']
  const env = { ...process.env, FERRITE_CLIENT_RECORD: recordFile }
  const { status } = spawnSync(process.execPath, [...options, ...files], { stdio: 'inherit', env })
  if (named.length > 0) return status ?? 1
  const record = readRecord(recordFile)
  const commands = commandsOf(execFileSync('baremetal', ['--help'], { encoding: 'utf8' }))
  const coverage = coverageOf(commands, record)
  console.log(`\n${coverageText(coverage)}\n${commands.length} commands; ${record.length} command lines were run.`)
  return status === 0 && commands.length > 0 && coverage.untried.length === 0 ? 0 : 1
}

function readRecord(file: string): RecordedCommand[] {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  return lines.map(line => JSON.parse(line) as RecordedCommand) // written by baremetal.ts
}
