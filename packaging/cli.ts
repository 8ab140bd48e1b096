/**
 * `npm run package:cli`: the client as one executable file: bundled by esbuild, put into a copy of Node.js as its single
 * application. It knows the public API and nothing else, and needs nothing beside it but libc.
 */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, relative, resolve } from 'node:path'
import { build } from 'esbuild'
import { run } from '../src/lib/run.ts'

const root = resolve(import.meta.dirname, '..')
const output = join(root, 'var/build/packages')

/** @returns the executable's path */
export async function buildCli(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-cli-'))
  try {
    const bundle = join(folder, 'ferrite.cjs')
    await build({
      stdin: {
        contents:
          "import { main } from './src/cli/main.ts'\nmain(process.argv.slice(2)).then(code => { process.exitCode = code })",
        resolveDir: root,
        loader: 'ts',
      },
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node26',
      minify: true,
      outfile: bundle,
    })
    await mkdir(output, { recursive: true })
    const executable = join(output, 'ferrite-cli')
    const config = join(folder, 'sea.json')
    await writeFile(
      config,
      JSON.stringify({
        main: bundle,
        output: executable,
        disableExperimentalSEAWarning: true,
        execArgv: ['--disable-warning=ExperimentalWarning'],
      }),
    )
    await rm(executable, { force: true })
    await run(join(root, 'node_modules/node/bin/node'), ['--build-sea', config])
    await chmod(executable, 0o755)
    return executable
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) console.log(`Wrote ${basename(await buildCli())} to ${relative(process.cwd(), output) || '.'}`)
