/**
 * Where the agent's options come from: kernel command line, virtual media, configuration files. It gathers texts; what
 * they mean is in options.ts.
 *
 * Source: openstack/ironic-python-agent `config.py`, `cmd/agent.py` (files, which source wins); oslo.config (folders).
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInput } from '#lib/fault.ts'
import { parseIni } from '#lib/ini.ts'
import { kernelParameters, type Options, readOptions } from './options.ts'
import type { Settings } from './settings.ts'
import { readVirtualMedia } from './virtual-media.ts'

/**
 * Options of this boot. What a configuration file says wins over virtual media, and that over the kernel command line.
 * @throws InvalidInput for a value that cannot be read; VirtualMediaBootError for a medium that cannot
 */
export async function bootOptions(settings: Settings): Promise<Options> {
  const cmdline = await readFile(settings.cmdlineFile, 'utf8')
  const given = kernelParameters(cmdline)
  const knowsApi = given.has('ipa-api-url') || given.has('ipa-inspection-callback-url')
  const isVirtualMediaBoot = given.get('boot_method') === 'vmedia'
  const parameters = isVirtualMediaBoot ? await readVirtualMedia(settings, !knowsApi) : ''
  return readOptions(`${cmdline}\n${parameters}`, await configured(settings.etcDir))
}

/** Assignments of all files, `[section] key` to value; the last of several counts. */
async function configured(etcDir: string): Promise<Map<string, string>> {
  const folder = join(etcDir, 'ironic-python-agent.d')
  const names = (await readdir(folder).catch(() => [])).filter(name => name.endsWith('.conf')).sort()
  const files = [join(etcDir, 'ironic-python-agent/ironic-python-agent.conf'), ...names.map(name => join(folder, name))]
  const values = new Map<string, string>()
  for (const file of files) {
    const { assignments, problems } = parseIni(await readFile(file, 'utf8').catch(() => ''))
    const [problem] = problems
    if (problem !== undefined) {
      throw new InvalidInput(
        `Cannot read ${file}: line ${problem.line} has ${problem.found}, expected ${problem.expected}`,
      )
    }
    for (const { section, key, value } of assignments) values.set(`[${section}] ${key.replaceAll('-', '_')}`, value)
  }
  return values
}
