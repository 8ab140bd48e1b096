/** Which of the clients this run drives: those of Debian, or newer ones from a virtual environment; and what they know. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Holds `baremetal`, `openstack` and `python3`; FERRITE_CLIENT_PROGRAMS when it is set. */
export const programDirectory = process.env.FERRITE_CLIENT_PROGRAMS ?? '/usr/bin'

/** Nothing of the user's settings. */
export const bareEnvironment = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', LANG: 'C.UTF-8' }

/** All commands of the `baremetal` in that folder, in the order of its help. */
export function commandsOf(programs: string): string[] {
  const help = execFileSync(join(programs, 'baremetal'), ['--help'], { encoding: 'utf8', env: bareEnvironment })
  const [, list = ''] = help.split('\nCommands:\n')
  return list.split('\n').flatMap(line => /^ {2}([a-z][a-z ]*?)(?: {2,}|$)/.exec(line)?.[1] ?? [])
}

let known: readonly string[] | undefined

/** @returns false when this run's client has such a command, else why not: fits the option `skip` of a test */
export function whyUnknown(command: string): false | string {
  known ??= commandsOf(programDirectory)
  return known.includes(command) ? false : `this client has no command "${command}"`
}
