/**
 * Stands in for Anaconda: does on the wire what it does, in its order. Reads the kernel's command line, fetches kickstart,
 * second stage or repository, runs the kickstart's scripts with a shell, fetches the image and puts it on a disk or into
 * a file. Anything that goes wrong runs %onerror, as there. It knows of Ferrite nothing but what the kickstart says.
 *
 * It needs Node's own modules alone, for it also runs in a ramdisk.
 * Source: Anaconda boot options; pykickstart, "Kickstart syntax reference".
 */
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface Kickstart {
  /** Words of each command, the first one its name. */
  readonly commands: readonly (readonly string[])[]
  readonly sections: readonly { readonly name: string; readonly body: string }[]
}

const sectionNames = ['%pre', '%post', '%onerror', '%traceback', '%packages', '%addon', '%pre-install']

/** @throws Error for what Anaconda does not take either: a section without end, text outside of all */
export function parseKickstart(text: string): Kickstart {
  const commands: string[][] = []
  const sections: { name: string; body: string }[] = []
  let open: { name: string; lines: string[] } | undefined
  for (const line of text.split('\n')) {
    const [word = ''] = line.trim().split(/\s+/)
    if (open && word === '%end') {
      sections.push({ name: open.name, body: open.lines.join('\n') })
      open = undefined
    } else if (open) {
      if (sectionNames.includes(word)) throw new Error(`section ${open.name} does not end with %end`)
      open.lines.push(line)
    } else if (word.startsWith('%')) {
      if (!sectionNames.includes(word)) throw new Error(`unknown section ${word}`)
      open = { name: word, lines: [] }
    } else if (word !== '' && !word.startsWith('#')) {
      commands.push(line.trim().split(/\s+/))
    }
  }
  if (open) throw new Error(`section ${open.name} does not end with %end`)
  return { commands, sections }
}

export interface Installation {
  /** Of the kernel. */
  readonly commandLine: string
  /** The disk, or a file in its place. */
  readonly target: string
  /** What the new system's root is, for %post. */
  readonly systemRoot: string
  readonly log: (line: string) => void
  /** Goes wrong in the middle, if it is set. */
  readonly failure?: 'error' | 'crash'
}

/** @returns what the kickstart wants at the end: poweroff, reboot, halt */
export async function install(options: Installation): Promise<string> {
  const { commandLine, log } = options
  const argument = (name: string) =>
    commandLine
      .split(/\s+/)
      .find(word => word.startsWith(`${name}=`))
      ?.slice(name.length + 1)
  const kickstartUrl = argument('inst.ks')
  if (kickstartUrl === undefined) throw new Error('the command line has no inst.ks')
  log(`fetching ${kickstartUrl}`)
  const kickstart = parseKickstart(await (await fetched(kickstartUrl)).text())
  const [stage2, repository] = [argument('inst.stage2'), argument('inst.repo')]
  // The installer's own system, without which it would not be here.
  if (stage2 !== undefined) await drained(await fetched(`${stage2}/LiveOS/squashfs.img`))
  else if (repository !== undefined) await drained(await fetched(new URL('.treeinfo', repository).href))
  else throw new Error('the command line has neither inst.stage2 nor inst.repo')

  const run = async (name: string) => {
    for (const section of kickstart.sections) if (section.name === name) await runScript(section.body, options)
  }
  await run('%pre')
  if (options.failure === 'crash') {
    await run('%traceback')
    await run('%onerror')
    throw new Error('the installer crashed')
  }
  try {
    if (options.failure === 'error') throw new Error('no disks that are large enough')
    await write(kickstart, options)
    await run('%post')
  } catch (error) {
    log(`error: ${error instanceof Error ? error.message : error}`)
    await run('%onerror')
    throw error
  }
  return (
    kickstart.commands.map(([name = '']) => name).findLast(name => ['poweroff', 'reboot', 'halt'].includes(name)) ??
    'halt'
  )
}

async function write({ commands }: Kickstart, { target, log }: Installation): Promise<void> {
  const option = (command: readonly string[], name: string) =>
    command.find(word => word.startsWith(`--${name}=`))?.slice(name.length + 3)
  const liveimg = commands.find(([name]) => name === 'liveimg')
  const repository = commands.find(([name]) => name === 'url')
  const url = option(liveimg ?? repository ?? [], 'url')
  if (url === undefined) throw new Error('the kickstart has neither liveimg nor url')
  log(`installing from ${url}`)
  if (!liveimg) {
    await drained(await fetched(new URL('repodata/repomd.xml', url).href))
    return
  }
  const body = (await fetched(url)).body
  if (!body) throw new Error(`${url} is empty`)
  const hash = createHash('sha256')
  const source = Readable.fromWeb(body).on('data', chunk => hash.update(chunk))
  await pipeline(source, createWriteStream(target))
  const [wanted, found] = [option(liveimg, 'checksum'), hash.digest('hex')]
  if (wanted !== undefined && wanted !== found) throw new Error(`the checksum of ${url} is ${found}`)
}

/** A new system would be entered with chroot; here its paths are found below systemRoot. */
function runScript(body: string, { systemRoot, log }: Installation): Promise<void> {
  const script = body.replaceAll('/var/lib/cloud/', `${systemRoot}/var/lib/cloud/`)
  return new Promise(done => {
    execFile('sh', ['-c', script], { timeout: 120_000 }, (error, stdout, stderr) => {
      for (const line of `${stdout}${stderr}`.split('\n')) if (line !== '') log(`script: ${line}`)
      if (error) log(`a script failed: ${error.message}`)
      done()
    })
  })
}

async function fetched(url: string): Promise<Response> {
  const response = await fetch(url)
  if (response.status === 200) return response
  await response.body?.cancel()
  throw new Error(`${url} answers ${response.status}`)
}

async function drained(response: Response): Promise<void> {
  for await (const _ of response.body ?? []) {
    // Only that it can be fetched matters.
  }
}

/** In a ramdisk: installs on the first disk and switches the machine off. */
if (process.argv[2] === '--machine') {
  const commandLine = await readFile('/proc/cmdline', 'utf8')
  const log = (line: string) => console.log(`installer: ${line}`)
  try {
    const end = await install({ commandLine, target: '/dev/vda', systemRoot: '/run/system', log })
    spawnSync('sync')
    spawnSync(end === 'reboot' ? 'reboot' : 'poweroff')
  } catch (error) {
    log(String(error))
  }
  // The ramdisk would start us again.
  await new Promise(() => setInterval(() => {}, 1 << 30))
}
