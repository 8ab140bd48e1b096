/**
 * `ferrite demo`: takes virtual machines from switched off, with only a BMC address known, to the login prompt of an
 * operating system that Ferrite wrote to their disks, and tells every step. It uses the program as an operator does:
 * a service with a configuration file, and the commands of the client.
 */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { access, mkdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { run as client } from '#cli/main.ts'
import { processTerminal } from '#cli/terminal.ts'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'
import { buildRamdisk, type RamdiskBuild } from '#ramdisk/build.ts'
import { buildDebianImage } from './debian-image.ts'
import { ensureHostPackages, forLab, forService } from './host-packages.ts'
import { type Lab, labUp } from './lab.ts'
import { driverInfoOf, LabService } from './service.ts'
import { Stages } from './stages.ts'
import type { LabMachine } from './state.ts'

const usage = `Usage: npm run demo -- [OPTION...]

Deploys a small Debian on a virtual machine, from power-off to its login prompt, and tells every step.

  --nodes N            number of machines (1)
  --bios               BIOS instead of UEFI
  --memory MB          memory of a machine (1024)
  --image FILE|URL     your own whole-disk image, raw or qcow2
  --checksum SUM       its checksum (md5, sha1, sha256 or sha512; by its length)
  --keep               leave service and machines running, and say how to use them
  --simulated          no root, no QEMU: simulated machines behind real BMC and agent protocols
  -h, --help           this text`

export interface DemoOptions {
  nodes: number
  bios: boolean
  memoryMb: number
  image: { source: string; checksum: string } | undefined
  keep: boolean
}

export async function main(args: string[]): Promise<number> {
  try {
    const { values } = parseArgs({
      args,
      options: {
        nodes: { type: 'string', default: '1' },
        bios: { type: 'boolean', default: false },
        memory: { type: 'string', default: '1024' },
        image: { type: 'string' },
        checksum: { type: 'string' },
        keep: { type: 'boolean', default: false },
        simulated: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (values.help) {
      console.log(usage)
      return 0
    }
    const nodes = count('--nodes', values.nodes, 1, 30)
    if (values.simulated) return await simulated(nodes, values)
    const memoryMb = count('--memory', values.memory, 512, 65_536)
    const image = imageOf(values.image, values.checksum)
    return await demo({ nodes, bios: values.bios, memoryMb, image, keep: values.keep })
  } catch (error) {
    const expected = error instanceof Fault || (error instanceof TypeError && 'code' in error)
    console.error(expected ? `ferrite demo: ${messageOf(error)}` : error)
    return 1
  }
}

/** Simulated machines have no firmware, no memory and no disk to look at afterwards. */
async function simulated(nodes: number, values: Record<string, unknown>): Promise<number> {
  const senseless = ['bios', 'image', 'checksum', 'keep'].filter(name => values[name])
  if (senseless.length > 0) throw new InvalidInput(`--simulated does not go with --${senseless.join(', --')}`)
  const release = onInterrupt(async () => {}) // the service ends with this process
  try {
    return await (await import('#sim/demo.ts')).simulatedDemo({ nodes })
  } finally {
    release()
  }
}

async function demo(options: DemoOptions): Promise<number> {
  const stages = new Stages(line => console.log(line))
  const say = (line: string) => console.log(`   ${line}`)

  await stages.run('host packages', 'Installing what is missing on this host', () =>
    ensureHostPackages([...forLab, ...forService], say),
  )
  const ramdisk = await stages.run('ramdisk', 'Building the ramdisk, or reusing it', async () => {
    const built = await buildRamdisk({ log: say })
    say(`${built.built ? 'built' : 'reused'} ${built.initramfs}`)
    return built
  })
  const image = await stages.run('image', 'Building the image to deploy, or reusing it', () =>
    prepareImage(options, say),
  )

  let lab: Lab | undefined
  let service: LabService | undefined
  const clear = async () => {
    await service?.stop()
    await lab?.down()
  }
  const release = onInterrupt(async () => {
    console.log('\ninterrupted: taking service and machines down')
    await clear()
  })
  try {
    lab = await stages.run('lab', `Making ${options.nodes} virtual machine(s), switched off, each with a BMC`, () =>
      labUp({
        name: 'demo',
        nodes: options.nodes,
        firmware: options.bios ? 'bios' : 'uefi',
        memoryMb: options.memoryMb,
        log: say,
      }),
    )
    for (const machine of lab.state.machines) say(`${machine.name}: ${machine.firmware}, BMC at ${machine.bmc.url}`)
    const started = lab
    service = await stages.run('service', 'Starting ferrite serve', () =>
      LabService.start({ lab: started, ramdisk, imageFolders: [dirname(image.file)] }),
    )
    say(`API at ${service.endpoint}`)
    await provision(lab, service, image, stages, options)
    console.log(`\n${stages.table()}`)
    console.log(sizes(ramdisk))
    if (options.keep) {
      tellHowToGoOn(lab, service)
      await new Promise<never>(() => {})
    }
    return 0
  } catch (error) {
    console.error(`\nferrite demo: ${messageOf(error)}`)
    if (lab && service) console.error(`Service log: ${service.logFile}; consoles: ferrite lab console NODE --name demo`)
    if (!(error instanceof Fault)) console.error(error)
    return 1
  } finally {
    release()
    await clear()
  }
}

/** Ends the process with what `clear` does first, when the user interrupts. @returns how to take that back */
function onInterrupt(clear: () => Promise<void>): () => void {
  const handler = () => {
    clear().then(
      () => process.exit(130),
      error => {
        console.error(messageOf(error))
        process.exit(1)
      },
    )
  }
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.once(signal, handler)
  return () => {
    for (const signal of signals) process.off(signal, handler)
  }
}

/** From enrolment to the login prompts, with the client's own commands. */
async function provision(
  lab: Lab,
  service: LabService,
  image: DemoImage,
  stages: Stages,
  options: DemoOptions,
): Promise<void> {
  const { machines } = lab.state
  const names = machines.map(machine => machine.name)
  const wait = String(1800 + 900 * machines.length)
  const ferrite = (...words: string[]) => command(service.endpoint, words)

  await stages.run('enrol', 'Enrolling: a name, a driver, and how to reach the BMC', async () => {
    for (const machine of machines) {
      const info = Object.entries(driverInfoOf(machine)).flatMap(([key, value]) => ['--driver-info', `${key}=${value}`])
      await ferrite(
        'node',
        'create',
        '--driver',
        'redfish',
        '--name',
        machine.name,
        ...info,
        '-f',
        'value',
        '-c',
        'uuid',
      )
    }
  })
  await stages.run('manage', 'Asking the BMCs', () => ferrite('node', 'manage', ...names, '--wait', wait))
  await stages.run('inspect', 'Inspecting: the ramdisk boots from the network and tells what the machine is', () =>
    ferrite('node', 'inspect', ...names, '--wait', wait),
  )
  for (const machine of machines) await ferrite('port', 'list', '--node', machine.name)
  await stages.run('clean', 'Cleaning: nothing of a former owner stays on the disks', () =>
    ferrite('node', 'provide', ...names, '--wait', wait),
  )

  const lookFrom = new Map<string, number>()
  await stages.run('deploy', `Deploying ${basename(image.file)} (${mib(image.bytes)} MiB)`, async () => {
    for (const machine of machines) {
      await ferrite(
        'node',
        'set',
        machine.name,
        ...instanceInfo(image).flatMap(([key, value]) => ['--instance-info', `${key}=${value}`]),
      )
      lookFrom.set(machine.name, await lab.serialSize(machine.name))
    }
    const drives = machines.map(machine => configDrive(machine))
    const watch = stages.watch(service, names)
    await Promise.all(
      machines.map((machine, index) =>
        // One bar at a time is enough for a terminal: the first machine's.
        ferrite(
          'node',
          'deploy',
          machine.name,
          '--config-drive',
          drives[index] ?? '',
          ...(index === 0 && machines.length === 1 ? ['--wait', wait] : []),
        ),
      ),
    )
    if (machines.length > 1) await waitActive(service, names, Number(wait))
    await watch.stop()
  })
  await stages.run('login', 'Waiting for the login prompt of what was deployed', async () => {
    for (const machine of machines) {
      const prompt = options.image ? /login: ?$/m : new RegExp(`${hostnameOf(machine)} login:`)
      const from = lookFrom.get(machine.name) ?? 0
      const seen = await lab.waitForSerial(machine.name, prompt, { timeoutMs: 300_000 * machines.length, from })
      console.log(`   ${machine.name}: ${seen[0].trim()}`)
    }
  })
  await ferrite('node', 'list')
}

/** Shows a command and runs it, as if it had been typed. */
async function command(endpoint: string, words: string[]): Promise<void> {
  const shown = words
    .map(word => word.replace(/(password=).*/, '$1******'))
    .map(word => (/[\s{}"]/.test(word) ? `'${word}'` : word))
  console.log(`   $ ferrite ${shown.join(' ')}`)
  const status = await client(['--os-endpoint', endpoint, ...words], processTerminal())
  if (status !== 0) throw new DemoFailed(`"ferrite ${words.slice(0, 3).join(' ')}" ended with status ${status}`)
}

/** A step of the demo did not succeed; what went before in the output says why. */
class DemoFailed extends Fault {
  readonly status = 500
  readonly code = 'demo-failed'
}

async function waitActive(service: LabService, names: string[], timeoutS: number): Promise<void> {
  await command(service.endpoint, ['node', 'list', '--fields', 'name', 'provision_state', 'target_provision_state'])
  const until = Date.now() + timeoutS * 1000
  let shown = ''
  for (;;) {
    const nodes = await Promise.all(names.map(name => service.api.get(`/v1/nodes/${name}`)))
    const failed = nodes.find(node => node.provision_state === 'deploy failed')
    if (failed) throw new DemoFailed(`${String(failed.name)} failed: ${String(failed.last_error)}`)
    const line = nodes.map(node => `${String(node.name)}: ${describeState(node)}`).join('   ')
    if (line !== shown) console.log(`   ${line}`)
    shown = line
    if (nodes.every(node => node.provision_state === 'active')) return
    if (Date.now() > until) throw new DemoFailed(`not all nodes were active after ${timeoutS} s: ${line}`)
    await new Promise(done => setTimeout(done, 2000))
  }
}

function describeState(node: Record<string, unknown>): string {
  const internal = node.driver_internal_info as
    | { progress?: { bytes: number; total_bytes: number | null } | null }
    | undefined
  const progress = internal?.progress
  if (!progress?.total_bytes) return String(node.provision_state)
  return `writing ${Math.floor((100 * progress.bytes) / progress.total_bytes)} %`
}

interface DemoImage {
  file: string
  bytes: number
  checksum: string
  format: string
}

async function prepareImage(options: DemoOptions, say: (line: string) => void): Promise<DemoImage> {
  if (options.image) {
    const file = await localFile(options.image.source, say)
    const format = await formatOf(file)
    return { file, bytes: (await stat(file)).size, checksum: options.image.checksum, format }
  }
  const { raw, manifest, built } = await buildDebianImage({ log: say })
  say(`${built ? 'built' : 'reused'} ${raw}`)
  return { file: raw, bytes: manifest.raw.size_bytes, checksum: manifest.raw.sha256, format: 'raw' }
}

/** The machines reach nothing outside the lab, so an image behind a URL is fetched here first. */
async function localFile(source: string, say: (line: string) => void): Promise<string> {
  if (!/^https?:\/\//.test(source)) {
    const file = resolve(source.replace(/^file:\/\//, ''))
    await access(file).catch(() => {
      throw new InvalidInput(`--image: there is no file ${file}`)
    })
    return file
  }
  const name = createHash('sha256').update(source).digest('hex').slice(0, 16)
  const file = resolve('var/build/image/fetched', `${name}-${basename(new URL(source).pathname) || 'image'}`)
  if (
    await access(file).then(
      () => true,
      () => false,
    )
  )
    return file
  await mkdir(dirname(file), { recursive: true })
  say(`fetching ${source}`)
  const answer = await fetch(source)
  if (!answer.ok || !answer.body)
    throw new InvalidInput(`--image: GET ${source} was answered with status ${answer.status}`)
  const half = `${file}.part`
  try {
    await pipeline(Readable.fromWeb(answer.body), createWriteStream(half))
    await rename(half, file)
  } finally {
    await rm(half, { force: true })
  }
  return file
}

async function formatOf(file: string): Promise<string> {
  for await (const chunk of createReadStream(file, { end: 3 })) {
    if ((chunk as Buffer).toString('latin1') === 'QFI\xfb') return 'qcow2'
  }
  return 'raw'
}

/** The service checks the file, converts it where needed, and serves it to the agents. */
function instanceInfo(image: DemoImage): [string, string][] {
  const algorithm = { 32: 'md5', 40: 'sha1', 64: 'sha256', 128: 'sha512' }[image.checksum.length]
  if (!algorithm)
    throw new InvalidInput(`--checksum: found ${image.checksum.length} characters, expected 32, 40, 64 or 128`)
  return [
    ['image_source', `file://${image.file}`],
    ['image_os_hash_algo', algorithm],
    ['image_os_hash_value', image.checksum],
    ['image_disk_format', image.format],
    ['image_download_source', 'local'],
    ['image_type', 'whole-disk'],
  ]
}

const hostnameOf = (machine: LabMachine) => `${machine.name}-deployed`
const configDrive = (machine: LabMachine) => JSON.stringify({ meta_data: { hostname: hostnameOf(machine) } })
const mib = (bytes: number) => Math.round(bytes / 2 ** 20)

function sizes(ramdisk: RamdiskBuild): string {
  const { initramfs, unpacked_bytes: unpacked } = ramdisk.manifest
  return `Ramdisk: ${mib(initramfs.size_bytes)} MiB packed, ${mib(unpacked)} MiB unpacked`
}

function tellHowToGoOn(lab: Lab, service: LabService): void {
  console.log(`
Service and machines keep running while this command does; Ctrl-C ends them.
  export OS_ENDPOINT=${service.endpoint}
  ./ferrite node list
  ./ferrite lab console ${lab.state.machines[0]?.name} --name demo --type`)
}

function imageOf(source: string | undefined, checksum: string | undefined): DemoOptions['image'] {
  if (source === undefined && checksum === undefined) return undefined
  if (source === undefined) throw new InvalidInput('--checksum goes with --image')
  if (checksum === undefined)
    throw new InvalidInput('--image needs --checksum: what is written to a disk is always checked')
  return { source, checksum: checksum.toLowerCase() }
}

function count(option: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new InvalidInput(`${option}: found "${text}", expected a whole number from ${min} to ${max}`)
}
