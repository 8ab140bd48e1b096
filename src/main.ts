/**
 * The one program. It looks at the first word and loads that command alone, so that `ferrite node list` never pays for
 * the service's code. Commands that are the API's client live in cli/; the others belong to their folders.
 */
import { enableCompileCache } from 'node:module'

enableCompileCache()

const [, , word, ...rest] = process.argv
const local = {
  serve: () => import('./serve.ts'),
  config: () => import('#config/command.ts'),
  backup: () => import('./backup/command.ts'),
  restore: () => import('./backup/restore-command.ts'),
  ramdisk: () => import('#ramdisk/command.ts'),
  iso: () => import('#boot/iso-command.ts'),
  lab: () => import('#lab/command.ts'),
  demo: () => import('#lab/demo.ts'),
  dev: () => import('#sim/dev.ts'),
  sim: () => import('#sim/command.ts'),
} satisfies Record<string, () => Promise<{ main(args: string[]): Promise<number> }>>

const command = word !== undefined && Object.hasOwn(local, word) ? local[word as keyof typeof local] : undefined
const code = command
  ? await (await command()).main(rest)
  : await (await import('#cli/main.ts')).main(process.argv.slice(2))
process.exitCode = code
