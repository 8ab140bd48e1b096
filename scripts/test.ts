/**
 * `npm test`: type check, lint, every unit test and scenario, a part of them again on PostgreSQL, then the tests that
 * boot virtual machines, two files at a time. Installs the host packages that are missing first. With arguments it runs
 * just those test files.
 */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres } from '../src/db/test-server.ts'
import { buildDebianImage } from '../src/lab/debian-image.ts'
import { ensureHostPackages, forImage, forLab, forRamdisk, forTests } from '../src/lab/host-packages.ts'
import { buildRamdisk } from '../src/ramdisk/build.ts'

const root = join(import.meta.dirname, '..')
process.chdir(root)

function run(title: string, command: string, args: readonly string[]): boolean {
  console.log(`\n== ${title}`)
  const began = performance.now()
  const { status } = spawnSync(command, args, { stdio: 'inherit' })
  console.log(
    `== ${title}: ${status === 0 ? 'passed' : 'FAILED'} in ${((performance.now() - began) / 1000).toFixed(1)} s`,
  )
  return status === 0
}

const bin = (name: string) => join(root, 'node_modules', '.bin', name)
const nodeTest = (files: readonly string[], options: readonly string[]) => [
  '--disable-warning=ExperimentalWarning',
  '--test',
  ...options,
  ...files,
]

const named = process.argv.slice(2)
if (named.length > 0)
  process.exit(run('named tests', process.execPath, nodeTest(named, ['--test-concurrency=1'])) ? 0 : 1)

/** The tests whose databases are of the engine that FERRITE_TEST_DB names, on a PostgreSQL server that ends with them. */
async function runOnPostgres(files: readonly string[]): Promise<boolean> {
  const server = await startPostgres()
  process.env.FERRITE_TEST_DB = 'postgresql'
  process.env.FERRITE_TEST_POSTGRES = server.url
  const passed = run('the same on PostgreSQL', process.execPath, nodeTest(files, ['--test-concurrency=2']))
  delete process.env.FERRITE_TEST_DB
  delete process.env.FERRITE_TEST_POSTGRES
  await server.stop()
  return passed
}

/** Those that touch what differs between the engines, and what several processes share; not every page of the API. */
const onBothEngines = [
  'src/conductor/**/!(outage).test.ts',
  'src/db/!(postgres).test.ts',
  'src/server/app.test.ts',
  'src/server/fuzz/fuzz.test.ts',
  'src/server/resources/{allocations,node-history,nodes,portgroups,ports,provision,ramdisk,runbooks}.test.ts',
]

/** What several files of machine tests boot, made before any of them looks for it. */
async function machineTests(files: readonly string[]): Promise<boolean> {
  const log = (line: string) => console.log(line)
  await buildRamdisk({ log })
  await buildDebianImage({ log })
  // A machine without KVM has one busy thread, so two files keep two cores busy.
  return run('virtual machines', process.execPath, nodeTest(files, ['--test-concurrency=2']))
}

await ensureHostPackages([...forLab, ...forRamdisk, ...forImage, ...forTests], message => console.log(message))
const plain = [...globSync('src/**/*.test.ts'), ...globSync('test/*.test.ts')].sort()
const machines = globSync('test/vm/*.test.ts').sort()
const passed = [
  run('types', bin('tsc'), []),
  run('types of the console', bin('tsc'), ['-p', 'src/console']),
  run('lint and format', bin('biome'), ['check', '.']),
  run('unit tests and scenarios', process.execPath, nodeTest(plain, ['--test-concurrency=2'])),
  await runOnPostgres(onBothEngines.flatMap(pattern => globSync(pattern)).sort()),
  await machineTests(machines),
]
process.exit(passed.every(Boolean) ? 0 : 1)
