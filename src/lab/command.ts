/** `ferrite lab`: machines, networks and BMCs out of nothing, on the command line. It parses and prints; lab.ts works. */
import { open, readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { Fault, InvalidInput, messageOf, NotFound } from '#lib/fault.ts'
import { faultKinds } from './faults.ts'
import { defaultDirectory, type Lab, type LabOptions, labUp, openLab } from './lab.ts'
import { socketPath } from './sockets.ts'
import type { DiskBus, NicModel } from './state.ts'

const USAGE = `Usage: ferrite lab COMMAND [OPTION...]

  up                         make machines, their network and their BMCs; all are switched off
      --nodes N              number of machines (1)
      --bios                 BIOS instead of UEFI
      --secure-boot          UEFI that starts nothing unsigned, until the BMC says otherwise
      --memory MB            memory of a machine (1024)
      --cpus N               processors of a machine (1)
      --disk GIB[:BUS]       a disk, repeatable (8:virtio); BUS is virtio, scsi, sata or nvme
      --nics N               network cards of a machine (1)
      --nic-model MODEL      virtio-net-pci, e1000e, e1000 or vmxnet3 (virtio-net-pci)
      --nic-rom ipxe|none    none: UEFI boots by its own PXE client (ipxe)
      --accelerator auto|tcg|kvm
      --power-delay MS       from "power on" accepted to running (1000)
  status [--json]            machines, power, counters; with --json all of lab.json as well
  console NODE [--timed|--type]
                             follow the serial port; --timed with times; --type to type, Ctrl-] ends
  fault NODE KIND [VALUE]    inject a fault
  forward ADDRESS:PORT [PORT]
                             make an address inside the lab reachable at a port of 127.0.0.1
  exec PROGRAM [ARG...]      run a program inside the lab's network namespace
  image                      build the small Debian disk image of the demo, or find it (var/build/image)
      --force                build it in any case, from the newest packages
  down                       take all down and remove it

  --name NAME                name of the lab (lab)
  --directory DIR            its state directory (var/lab/NAME of the checkout)

Faults:
${Object.entries(faultKinds)
  .map(([name, { value, doc }]) => `  ${`${name} ${value ?? ''}`.padEnd(26)} ${doc}`)
  .join('\n')}
`

const common = { name: { type: 'string' }, directory: { type: 'string' } } satisfies ParseArgsOptionsConfig

/** @returns the exit status */
export async function main(args: string[]): Promise<number> {
  const [word, ...rest] = args
  if (word === undefined || word === 'help' || word === '--help' || word === '-h') {
    process.stdout.write(USAGE)
    return word === undefined ? 2 : 0
  }
  if (!Object.hasOwn(commands, word)) {
    process.stderr.write(
      `ferrite lab: found the command ${word}, expected one of ${Object.keys(commands).join(', ')}\n`,
    )
    return 2
  }
  try {
    return await commands[word as keyof typeof commands](rest) // hasOwn has just said so
  } catch (error) {
    if (!(error instanceof Fault) && !isUsage(error)) throw error
    process.stderr.write(`ferrite lab ${word}: ${messageOf(error)}\n`)
    return error instanceof InvalidInput || isUsage(error) ? 2 : 1
  }
}

const commands = { up, status, console: followConsole, fault, forward, exec, image, down }

async function up(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      ...common,
      nodes: { type: 'string' },
      bios: { type: 'boolean' },
      'secure-boot': { type: 'boolean' },
      memory: { type: 'string' },
      cpus: { type: 'string' },
      disk: { type: 'string', multiple: true },
      nics: { type: 'string' },
      'nic-model': { type: 'string' },
      'nic-rom': { type: 'string' },
      accelerator: { type: 'string' },
      'power-delay': { type: 'string' },
    },
  })
  const options: LabOptions = { ...where(values), log: line => process.stderr.write(`${line}\n`) }
  if (values.nodes !== undefined) options.nodes = number('--nodes', values.nodes)
  if (values.bios === true) options.firmware = 'bios'
  if (values['secure-boot'] === true) options.secureBoot = true
  if (values.memory !== undefined) options.memoryMb = number('--memory', values.memory)
  if (values.cpus !== undefined) options.cpus = number('--cpus', values.cpus)
  if (values.disk !== undefined) options.disks = values.disk.map(disk)
  if (values.nics !== undefined) options.nics = number('--nics', values.nics)
  if (values['nic-model'] !== undefined) options.nicModel = oneOf('--nic-model', values['nic-model'], nicModels)
  if (values['nic-rom'] !== undefined) options.nicRom = oneOf('--nic-rom', values['nic-rom'], ['ipxe', 'none'])
  if (values.accelerator !== undefined) {
    options.accelerator = oneOf('--accelerator', values.accelerator, ['auto', 'tcg', 'kvm'])
  }
  if (values['power-delay'] !== undefined) options.powerDelayMs = number('--power-delay', values['power-delay'])

  const lab = await labUp(options)
  const { state } = lab
  process.stdout.write(
    `The lab ${state.name} is up in the network namespace ${state.namespace} (${state.accelerator}).\n` +
      `Service address ${state.network.address} on ${state.network.bridge}, DHCP ${state.network.dhcp_first} to ${state.network.dhcp_last}\n\n` +
      state.machines
        .map(
          machine =>
            `${machine.name}  ${machine.firmware}  ${machine.nics.map(nic => nic.mac).join(' ')}\n` +
            `  BMC ${machine.bmc.url} (IPMI: ${machine.bmc.address}) user ${machine.bmc.username} password ${machine.bmc.password}\n` +
            `  serial log ${machine.serial_log}\n`,
        )
        .join(''),
  )
  return 0
}

async function image(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { force: { type: 'boolean', default: false } } })
  // Loaded when needed: nothing else here builds.
  const { buildDebianImage } = await import('./debian-image.ts')
  const log = (line: string) => process.stderr.write(`image: ${line}\n`)
  const { raw, qcow2, manifest, built } = await buildDebianImage({ force: values.force, log })
  for (const [file, { size_bytes, sha256 }] of [
    [raw, manifest.raw],
    [qcow2, manifest.qcow2],
  ] as const) {
    process.stdout.write(`${file}  ${size_bytes} bytes  sha256 ${sha256}\n`)
  }
  process.stdout.write(built ? 'built\n' : 'already there, of the same inputs\n')
  return 0
}

async function status(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { ...common, json: { type: 'boolean' } } })
  const lab = await openNamed(values)
  const now = await lab.status()
  if (values.json === true) {
    process.stdout.write(`${JSON.stringify({ ...lab.state, status: now }, null, 2)}\n`)
    return 0
  }
  const rows = now.machines.map(({ name, power, boot, media, counters, injected }) => {
    const machine = lab.machine(name)
    const resets = counters.resets + counters.guest_resets
    return [
      name,
      machine.firmware,
      power,
      boot.enabled === 'Disabled' ? '-' : `${boot.target} ${boot.enabled.toLowerCase()}`,
      media ?? '-',
      `${counters.power_ons}`,
      `${resets}`,
      machine.nics[0]?.mac ?? '-',
      machine.bmc.url,
      injected.join(', ') || '-',
    ]
  })
  const header = ['NAME', 'FIRMWARE', 'POWER', 'BOOT', 'MEDIA', 'POWER-ONS', 'RESETS', 'MAC', 'BMC', 'FAULTS']
  process.stdout.write(table([header, ...rows]))
  return 0
}

async function followConsole(args: string[]): Promise<number> {
  const options = { ...common, timed: { type: 'boolean' }, type: { type: 'boolean' } } satisfies ParseArgsOptionsConfig
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  const lab = await openNamed(values)
  const machine = lab.machine(positional(positionals, 0, 'NODE'))
  if (values.type === true) return typeInto(machine.console_socket)
  return follow(values.timed === true ? machine.timed_log : machine.serial_log)
}

async function fault(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options: common, allowPositionals: true })
  const lab = await openNamed(values)
  await lab.fault(positional(positionals, 0, 'NODE'), positional(positionals, 1, 'KIND'), positionals[2])
  return 0
}

async function forward(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options: common, allowPositionals: true })
  const target = positional(positionals, 0, 'ADDRESS:PORT')
  const [, host, port] = /^(.+):(\d+)$/.exec(target) ?? []
  if (host === undefined || port === undefined) throw new InvalidInput(`found ${target}, expected ADDRESS:PORT`)
  const lab = await openNamed(values)
  const listenPort = positionals[1] === undefined ? 0 : number('PORT', positionals[1])
  const { port: open } = await lab.forward(host, Number(port), listenPort)
  process.stdout.write(`127.0.0.1:${open} leads to ${target} in the lab ${lab.state.name}; Ctrl-C ends it\n`)
  await interrupted()
  return 0
}

async function exec(args: string[]): Promise<number> {
  // The program's own options begin where it does, and are not ours to read.
  const at = args.findIndex(
    (word, index) => !word.startsWith('--') && !/^--(name|directory)$/.test(args[index - 1] ?? ''),
  )
  const { values } = parseArgs({ args: at < 0 ? args : args.slice(0, at), options: common })
  const lab = await openNamed(values)
  const child = lab.spawn(positional(args.slice(at), 0, 'PROGRAM'), args.slice(at + 1), { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 130)))
  })
}

async function down(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: common })
  const lab = await openNamed(values)
  await lab.down()
  process.stdout.write(`The lab ${lab.state.name} is gone.\n`)
  return 0
}

type Where = { name?: string | undefined; directory?: string | undefined }

function where({ name, directory }: Where): { name: string; directory: string } {
  return { name: name ?? 'lab', directory: resolve(directory ?? defaultDirectory(name ?? 'lab')) }
}

async function openNamed(values: Where): Promise<Lab> {
  const { directory } = where(values)
  try {
    return await openLab(directory)
  } catch (error) {
    if (!(error instanceof NotFound)) throw error
    const others = await readdir(dirname(directory)).catch(() => [])
    const hint = others.length === 0 ? '' : `; beside it are ${others.join(', ')}`
    throw new NotFound(`${error.message}${hint}`)
  }
}

const nicModels: readonly NicModel[] = ['virtio-net-pci', 'e1000e', 'e1000', 'vmxnet3']
const diskBuses: readonly DiskBus[] = ['virtio', 'scsi', 'sata', 'nvme']

function disk(text: string): { sizeGib: number; bus: DiskBus } {
  const [size = '', bus = 'virtio'] = text.split(':')
  return { sizeGib: number('--disk', size), bus: oneOf('--disk', bus, diskBuses) }
}

function oneOf<T extends string>(option: string, found: string, values: readonly T[]): T {
  const value = values.find(candidate => candidate === found)
  if (value !== undefined) return value
  throw new InvalidInput(`${option}: found ${found}, expected one of ${values.join(', ')}`)
}

function number(option: string, found: string): number {
  if (/^\d+(\.\d+)?$/.test(found)) return Number(found)
  throw new InvalidInput(`${option}: found ${found}, expected a number`)
}

function positional(words: readonly string[], at: number, name: string): string {
  const word = words[at]
  if (word !== undefined) return word
  throw new InvalidInput(`expected ${name}, found nothing; "ferrite lab help" tells more`)
}

/** parseArgs throws TypeErrors with codes of its own for what the user mistyped. */
function isUsage(error: unknown): boolean {
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? []
  return rows
    .map(
      row =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** Prints a file that grows, from its beginning, until Ctrl-C or until the lab is gone. */
async function follow(path: string): Promise<number> {
  const file = await open(path)
  const buffer = Buffer.alloc(65_536)
  let stop = false
  interrupted().then(() => {
    stop = true
  })
  while (!stop) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length)
    if (bytesRead > 0) process.stdout.write(Buffer.from(buffer.subarray(0, bytesRead)))
    else if ((await file.stat()).nlink === 0) break
    else await sleep(100)
  }
  await file.close()
  return 0
}

/** Joins our terminal with the machine's serial port. */
async function typeInto(path: string): Promise<number> {
  const socket = connect(socketPath(path))
  if (process.stdin.isTTY) process.stdin.setRawMode(true)
  process.stderr.write('Connected; Ctrl-] ends.\r\n')
  process.stdin.on('data', (bytes: Buffer) => {
    if (bytes.includes(0x1d)) socket.end()
    else socket.write(bytes)
  })
  socket.pipe(process.stdout)
  await new Promise<void>((resolve, reject) => {
    socket.on('error', error => reject(new NotFound(`Cannot open the console: ${messageOf(error)}`)))
    socket.on('close', () => resolve())
  })
  if (process.stdin.isTTY) process.stdin.setRawMode(false)
  process.stdin.pause()
  return 0
}

async function interrupted(): Promise<void> {
  await new Promise<void>(resolve => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
}
