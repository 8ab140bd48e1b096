/** The Go program in gophercloud/: built where Go and its module are to be had, and otherwise the reason why not. */
import { execFile } from 'node:child_process'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { messageOf } from '#lib/fault.ts'
import { programDirectory } from './programs.ts'

const source = join(import.meta.dirname, 'gophercloud')
// Modules are fetched into the user's cache, and checked against go.sum; no newer Go is fetched for them.
const goEnvironment = { ...process.env, HOME: homedir(), GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' }

async function go(...args: string[]): Promise<void> {
  await promisify(execFile)('go', args, { cwd: source, env: goEnvironment, timeout: 300_000 })
}

/** @returns false when it can be built, else why not: fits the option `skip` of a test */
export async function whyNoGo(): Promise<false | string> {
  // The library is the same for all clients of Python.
  if (programDirectory !== '/usr/bin') return 'it runs beside the clients of Debian'
  try {
    await go('mod', 'download')
    return false
  } catch (error) {
    return `go or its module is not to be had here: ${messageOf(error).split('\n').slice(0, 3).join(' ')}`
  }
}

/** Builds it in a directory. @returns path of the program */
export async function buildGophercloud(directory: string): Promise<string> {
  const program = join(directory, 'drive')
  await go('build', '-o', program, '.')
  return program
}
