/**
 * `ferrite demo --simulated`: the whole path of a machine, from its BMC's address to a running instance, over the real
 * service and simulated machines. It uses the program as an operator does, by the client's commands, and checks after
 * each of them what happened on the machines.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { run as client } from '#cli/main.ts'
import { processTerminal, type Terminal } from '#cli/terminal.ts'
import { Stages } from '#lab/stages.ts'
import { Fault, messageOf } from '#lib/fault.ts'
import type { SimMachine } from './machine.ts'
import { type Settings, usual } from './settings.ts'
import { Site } from './site.ts'

export interface SimulatedDemoOptions {
  nodes: number
  settings?: Settings
  /** For database and logs, kept at the end. Default: a temporary one, kept when the demo fails. */
  directory?: string
  /** Where the demo and the client's commands write. Default: the process. */
  terminal?: Terminal
}

/** A step of the demo did not do what it should. */
class DemoFailed extends Fault {
  readonly status = 500
  readonly code = 'demo-failed'
}

/** @returns the exit status: 0 when every node is active and every machine runs what was deployed */
export async function simulatedDemo({ nodes, ...more }: SimulatedDemoOptions): Promise<number> {
  const { settings = usual, terminal = processTerminal() } = more
  const say = (line: string) => void terminal.out.write(`${line}\n`)
  const directory = more.directory ?? (await mkdtemp(join(tmpdir(), 'ferrite-demo-')))
  const stages = new Stages(say)
  let site: Site | undefined
  let passed = false
  try {
    const title = `Starting ferrite serve and ${nodes} simulated machine(s)`
    const started = await stages.run('service and machines', title, () =>
      Site.start({ directory, nodes, settings, config: { conductor: ramdiskDeadlines } }),
    )
    site = started
    say(`   API at ${started.service.endpoint}`)
    for (const { name, bmc, macs } of started.fleet.machines) say(`   ${name}: off, MAC ${macs[0]}, BMC at ${bmc.url}`)
    await provision(started, stages, terminal, say)
    say(`\n${stages.table()}`)
    passed = true
    return 0
  } catch (error) {
    terminal.err.write(`\nferrite demo: ${messageOf(error)}\n`)
    if (site) terminal.err.write(`${await lastErrors(site)}Service log: ${site.service.logFile}\n`)
    if (!(error instanceof Fault)) throw error
    return 1
  } finally {
    await site?.stop()
    if (passed && more.directory === undefined) await rm(directory, { recursive: true, force: true })
  }
}

/** A ramdisk that is silent for so long will not come: simulated ones boot in a second. */
const ramdiskDeadlines = { deploy_callback_timeout: 60, clean_callback_timeout: 60, inspect_wait_timeout: 60 }

async function provision(site: Site, stages: Stages, terminal: Terminal, say: (line: string) => void): Promise<void> {
  const { machines } = site.fleet
  const names = machines.map(machine => machine.name)
  const wait = ['--wait', '300']
  const ferrite = (...words: string[]) => command(site, words, terminal, say)
  const on = (check: (machine: SimMachine) => unknown, what: string) => expect(machines, check, what)

  await stages.run('enrol', 'Enrolling: a name, a driver, and how to reach the BMC', async () => {
    for (const machine of machines) {
      const info = Object.entries(site.driverInfo(machine)).flatMap(pair => ['--driver-info', pair.join('=')])
      const interfaces = ['--boot-interface', 'ipxe', '--network-interface', 'noop']
      await ferrite(
        'node',
        'create',
        '--driver',
        'redfish',
        '--name',
        machine.name,
        ...interfaces,
        ...info,
        '-f',
        'value',
        '-c',
        'uuid',
      )
    }
  })
  await stages.run('manage', 'Asking the BMCs', () => ferrite('node', 'manage', ...names, ...wait))
  await stages.run(
    'inspect',
    'Inspecting: the ramdisk boots from the network and tells what the machine is',
    async () => {
      await ferrite('node', 'inspect', ...names, ...wait)
      for (const machine of machines) await checkInspected(site, machine)
      on(machine => machine.hardware.powerOns === 1 && machine.running === 'off', 'booted once and off again')
    },
  )
  await stages.run('clean', 'Cleaning: nothing of a former owner stays on the disks', async () => {
    await ferrite('node', 'provide', ...names, ...wait)
    on(machine => machine.hardware.powerOns === 2 && machine.disk === null, 'booted twice, with an empty disk')
  })
  const configDrive = gzipSync('the config drive of a simulated machine').toString('base64')
  await stages.run('deploy', `Deploying ${site.image.url} (${site.image.sizeBytes / 2 ** 20} MiB)`, async () => {
    const info = Object.entries(site.instanceInfo()).flatMap(pair => ['--instance-info', pair.join('=')])
    for (const name of names) await ferrite('node', 'set', name, ...info)
    const watch = stages.watch(site.service, names)
    await ferrite('node', 'deploy', ...names, '--config-drive', configDrive, ...wait).finally(() => watch.stop())
    on(machine => machine.disk?.digest === `sha256:${site.image.sha256}`, 'holding the image, whole')
    on(machine => machine.disk?.configDrive === configDrive, 'holding the config drive')
  })
  await stages.run('instance', 'Waiting for what was deployed to run', async () => {
    const isUp = (machine: SimMachine) => machine.running === 'instance'
    for (let left = 100; left > 0 && !machines.every(isUp); left--) await sleep(100)
    on(isUp, 'running the instance')
    on(machine => machine.hardware.powerOns === 4, 'powered on four times: inspect, clean, deploy, instance')
  })
  await ferrite('node', 'list')
}

/** Shows a command and runs it, as if it had been typed. */
async function command(site: Site, words: string[], terminal: Terminal, say: (line: string) => void): Promise<void> {
  const shown = words
    .map(word => word.replace(/(password=).*/, '$1******'))
    .map(word => (word.length > 100 ? `${word.slice(0, 60)}…` : word))
  say(`   $ ferrite ${shown.join(' ')}`)
  const status = await client(['--os-endpoint', site.service.endpoint, ...words], terminal)
  if (status !== 0) throw new DemoFailed(`"ferrite ${words.slice(0, 3).join(' ')}" ended with status ${status}`)
}

/** What the service has learned of the machine is what the machine is. */
async function checkInspected(site: Site, { name, facts, macs }: SimMachine): Promise<void> {
  const node = await site.service.api.get(`/v1/nodes/${name}`)
  const ports = await site.service.api.list('/v1/ports', 'ports', { query: { node: name, detail: true }, limit: 0 })
  const found = { properties: node.properties, ports: ports.map(port => port.address) }
  const { cpu_arch } = node.properties as Record<string, unknown> // an object by the API's schema
  if (cpu_arch === 'x86_64' && macs.every(mac => found.ports.includes(mac))) return
  throw new DemoFailed(
    `Inspection of ${name} stored ${JSON.stringify(found)}, expected cpu_arch x86_64 and ports ${facts.nics.map(nic => nic.mac).join(', ')}`,
  )
}

function expect(machines: readonly SimMachine[], check: (machine: SimMachine) => unknown, what: string): void {
  const wrong = machines.filter(machine => !check(machine))
  if (wrong.length === 0) return
  const found = wrong.map(({ name, running, hardware, disk }) => {
    const content = disk === null ? 'an empty disk' : `${disk.digest} on its disk`
    return `${name} is ${running} after ${hardware.powerOns} power-ons with ${content}`
  })
  throw new DemoFailed(`Expected every machine to be ${what}; found: ${found.join('; ')}`)
}

/** What the service says of nodes that failed; nothing when it cannot be asked. */
async function lastErrors(site: Site): Promise<string> {
  const query = { fields: 'name,provision_state,last_error' }
  const nodes = await site.service.api.list('/v1/nodes', 'nodes', { query, limit: 0 }).catch(() => [])
  return nodes
    .filter(node => node.last_error !== null)
    .map(node => `${String(node.name)} is in ${String(node.provision_state)}: ${String(node.last_error)}\n`)
    .join('')
}
