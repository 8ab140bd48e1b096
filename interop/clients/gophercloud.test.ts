/** gophercloud, the library below Metal3 and Terraform: the Go program in gophercloud/ drives the service with it. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { messageOf } from '#lib/fault.ts'
import { bareEnvironment, programDirectory } from './programs.ts'
import { conductor, startService } from './service.ts'

const source = join(import.meta.dirname, 'gophercloud')
// Modules are fetched into the user's cache, and checked against go.sum; no newer Go is fetched for them.
const goEnvironment = { ...process.env, HOME: homedir(), GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' }

async function go(...args: string[]): Promise<void> {
  await promisify(execFile)('go', args, { cwd: source, env: goEnvironment, timeout: 300_000 })
}

async function whyNotHere(): Promise<false | string> {
  // The library is the same for all clients of Python.
  if (programDirectory !== '/usr/bin') return 'it runs beside the clients of Debian'
  try {
    await go('mod', 'download')
    return false
  } catch (error) {
    return `go or its module is not to be had here: ${messageOf(error).split('\n').slice(0, 3).join(' ')}`
  }
}

test('gophercloud: the life that Metal3 gives a host, and the calls besides', {
  skip: await whyNotHere(),
}, async () => {
  await using opened = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-gophercloud-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  const program = join(directory, 'drive')
  await go('build', '-o', program, '.')
  const service = opened.use(await startService())
  // A check that fails is a panic with its words in what the fault of execFile shows.
  const env = { ...bareEnvironment, ...service.environment }
  const { stdout } = await promisify(execFile)(program, [conductor], { env, timeout: 300_000 })
  console.log(stdout)
})
