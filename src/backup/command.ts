/** `ferrite backup` and `ferrite restore`: reads the command line and the service's configuration; the work is in backup.ts. */
import { parseArgs } from 'node:util'
import { openConfig, takeConfigFiles } from '#config/load.ts'
import { Fault, InvalidInput } from '#lib/fault.ts'
import metadata from '../../package.json' with { type: 'json' }
import { backup, restore } from './backup.ts'

const usage = `Usage: ferrite backup [--config-file FILE]... ARCHIVE
       ferrite restore [--config-file FILE]... [--force] ARCHIVE

backup writes the database, the keys of the service and its configuration into a tar archive while the service runs.
Whoever can read the archive can read the passwords of all BMCs: it is written for its owner alone.
restore puts database and keys back; the service must be stopped. See docs/upgrade-and-backup.md.

  --config-file FILE   as of "ferrite serve"; repeatable
  --force              replace what is there; it is kept beside, as ….before-restore
  -h, --help           this text`

export const main = (args: string[]): Promise<number> => told('backup', args)
export const restoreMain = (args: string[]): Promise<number> => told('restore', args)

async function told(command: 'backup' | 'restore', args: string[]): Promise<number> {
  try {
    return await act(command, args)
  } catch (error) {
    const expected = error instanceof Fault || (error instanceof TypeError && 'code' in error)
    console.error(expected ? `ferrite ${command}: ${error.message}` : error)
    return 1
  }
}

async function act(command: 'backup' | 'restore', args: string[]): Promise<number> {
  const { files, rest } = await takeConfigFiles(args)
  const { values, positionals } = parseArgs({
    args: rest,
    allowPositionals: true,
    options: { force: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const [file, ...more] = positionals
  if (file === undefined || more.length > 0) throw new InvalidInput(`expected one archive\n${usage}`)
  const { config } = await openConfig({ files, env: process.env })
  if (command === 'backup') {
    const { version } = metadata
    const manifest = await backup(config, { file, configFiles: files, now: new Date(), version })
    console.log(`Wrote ${file}: ${Object.keys(manifest.files).length} files, database of ${manifest.engine}`)
  } else {
    const manifest = await restore(config, { file, force: values.force })
    console.log(`Restored ${file} of ${manifest.made_at}, made by Ferrite ${manifest.version}`)
  }
  return 0
}
