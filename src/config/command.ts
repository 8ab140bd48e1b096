/** `ferrite config`: the reference of all options, and the check of a configuration without starting anything. */
import { Command, CommanderError, Option } from 'commander'
import { InvalidConfig, openConfig, takeConfigFiles } from './load.ts'
import { printConfig, referenceJson, referenceMarkdown, referenceText } from './reference.ts'

const formats = { text: referenceText, markdown: referenceMarkdown, json: referenceJson }

export async function main(args: string[]): Promise<number> {
  const program = new Command('ferrite config').exitOverride().showHelpAfterError()
  program.description('Options of the service: their reference, and the check of configuration files.')
  program
    .command('reference')
    .description('print every option with its default and meaning')
    .addOption(new Option('--format <format>', 'form of the output').choices(Object.keys(formats)).default('text'))
    // commander has checked the word against the keys of formats
    .action(({ format }: { format: keyof typeof formats }) => print(formats[format]()))
  const files = '[--config-file FILE]... [--config-dir DIR]...'
  program
    .command('check')
    .usage(files)
    .description('say what is wrong with configuration files; exit code 1 if anything is')
    .action(async () => {
      const { warnings } = await openConfig({ files: taken.files, env: process.env })
      for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`)
      print(`The configuration can be used${warnings.length > 0 ? `; ${warnings.length} warnings` : ''}.`)
    })
  program
    .command('show')
    .usage(files)
    .description('print all values in effect, and where they were set; secrets are left out')
    .action(async () => {
      const loaded = await openConfig({ files: taken.files, env: process.env })
      print(printConfig(loaded.config, { annotate: (group, name) => loaded.originOf(group, name) }))
    })

  let taken: { files: string[]; rest: string[] } = { files: [], rest: [] }
  try {
    taken = await takeConfigFiles(args)
    await program.parseAsync(taken.rest, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode
    if (!(error instanceof InvalidConfig)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}
