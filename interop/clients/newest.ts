/** The newest clients of Ironic, by pip in a virtual environment of their own; nothing of the system's Python changes. */
import { join } from 'node:path'
import { ensureHostPackages, forNewestClients, HostPackagesMissing } from '#lab/host-packages.ts'
import { CommandFailed, run } from '#lib/run.ts'

const names = ['python-ironicclient', 'python-openstackclient', 'openstacksdk']

export type NewestClients = { programs: string; versions: string } | { missing: string }

/**
 * @param directory made, and filled
 * @returns the folder of the programs, or why they are not to be had
 */
export async function installNewestClients(directory: string): Promise<NewestClients> {
  const pip = join(directory, 'bin/pip')
  try {
    await ensureHostPackages(forNewestClients, line => console.log(line))
    await run('/usr/bin/python3', ['-m', 'venv', directory])
    await run(pip, ['install', '--quiet', '--retries', '1', ...names])
    const { stdout } = await run(pip, ['list', '--format', 'freeze'])
    const versions = stdout.split('\n').filter(line => names.some(name => line.startsWith(`${name}==`)))
    return { programs: join(directory, 'bin'), versions: versions.join('\n') }
  } catch (error) {
    if (error instanceof CommandFailed || error instanceof HostPackagesMissing) return { missing: error.message }
    throw error
  }
}
