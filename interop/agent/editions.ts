/** Where a stock Ironic comes from, and how its programs are run. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ensureHostPackages, forNewestClients } from '#lab/host-packages.ts'
import { CommandFailed, run } from '#lib/run.ts'
import { CannotRunHere } from '../driving.ts'

export interface IronicEdition {
  readonly version: string
  /** The command line of a program of it, to which options are added. */
  program(name: 'dbsync' | 'conductor' | 'api'): readonly [command: string, ...args: string[]]
  /** Inspection in band: by a service beside it, or by itself. */
  readonly inspect: 'inspector' | 'agent'
}

/** Servers that surround any edition. */
export const aroundIronic = ['genisoimage', 'nginx', 'dnsmasq-base', 'ipxe'] as const
/** Only programs and libraries: the packages of the services would set them up and start them. */
export const forDebianIronic = [...aroundIronic, 'python3-ironic', 'python3-ironic-inspector', 'python3-sushy'] as const

/** Authorities that an environment names would take the place of those of a BMC. */
export const env = { REQUESTS_CA_BUNDLE: '', CURL_CA_BUNDLE: '' }

/** A program as the package of its service has it, which does nothing else. */
export function debianProgram(module: string, name: string): readonly [command: string, ...args: string[]] {
  const code = `import sys; sys.argv[0] = "${name}"; from ${module} import main; sys.exit(main())`
  return ['/usr/bin/python3', '-c', code]
}

export async function debianIronic(): Promise<IronicEdition> {
  const { stdout } = await run('dpkg-query', ['-W', '-f', `$\{Version}`, 'python3-ironic'])
  return {
    version: stdout,
    program: name => debianProgram(`ironic.cmd.${name}`, `ironic-${name}`),
    inspect: 'inspector',
  }
}

/**
 * The newest that the Python package index has.
 * @param directory of a virtual environment, made and filled
 * @throws CannotRunHere when it cannot be had
 */
export async function newestIronic(directory: string): Promise<IronicEdition> {
  const pip = join(directory, 'bin/pip')
  try {
    await ensureHostPackages(forNewestClients, line => console.log(line))
    await run('/usr/bin/python3', ['-m', 'venv', directory])
    await run(pip, ['install', '--quiet', '--retries', '1', 'ironic', 'sushy'])
    const { stdout } = await run(pip, ['list', '--format', 'freeze'])
    return {
      version: /^ironic==(.+)$/m.exec(stdout)?.[1] ?? 'of unknown version',
      program: name => [join(directory, 'bin', `ironic-${name}`)],
      inspect: 'agent',
    }
  } catch (error) {
    if (error instanceof CommandFailed) throw new CannotRunHere(`the newest Ironic cannot be had: ${error.message}`)
    throw error
  }
}

/** Lets several processes write to one SQLite file. */
export function shareable(file: string): void {
  using tables = new DatabaseSync(file)
  tables.exec('PRAGMA journal_mode = WAL')
}
