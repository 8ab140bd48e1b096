/**
 * `ferrite dev`: the service and a few simulated machines that are enrolled already, to work on Ferrite or to try it,
 * without root and without preparation. Everything starts afresh each time; Ctrl-C ends all of it.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'
import type { MachineEvent, SimMachine } from './machine.ts'
import { usual } from './settings.ts'
import { Site } from './site.ts'

const usage = `Usage: ferrite dev [OPTION...]

Starts ferrite serve and simulated machines that are enrolled already. No root, no QEMU. Ctrl-C ends all of it.

  --nodes N          number of machines (3)
  --port PORT        of the API (6385, or a free one when that is taken)
  --directory DIR    for database and logs; emptied at each start (var/dev)
  --seed N           the same number, the same machines and delays (1)
  --quiet            do not tell what the machines do
  -h, --help         this text`

const defaultPort = 6385

/** @returns the exit status */
export async function main(args: string[]): Promise<number> {
  try {
    const { values } = parseArgs({
      args,
      options: {
        nodes: { type: 'string', default: '3' },
        port: { type: 'string' },
        directory: { type: 'string', default: 'var/dev' },
        seed: { type: 'string', default: '1' },
        quiet: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (values.help) {
      console.log(usage)
      return 0
    }
    const nodes = wholeNumber('--nodes', values.nodes, { from: 1, to: 1000 })
    const seed = wholeNumber('--seed', values.seed, { from: 0, to: 2 ** 32 - 1 })
    const port = values.port === undefined ? undefined : wholeNumber('--port', values.port, { from: 1, to: 65_535 })
    await dev({ nodes, seed, port, directory: resolve(values.directory), quiet: values.quiet })
    return 0
  } catch (error) {
    const expected = error instanceof Fault || (error instanceof TypeError && 'code' in error)
    console.error(expected ? `ferrite dev: ${messageOf(error)}` : error)
    return 1
  }
}

interface DevOptions {
  nodes: number
  seed: number
  port: number | undefined
  directory: string
  quiet: boolean
}

async function dev({ nodes, seed, port, directory, quiet }: DevOptions): Promise<void> {
  await emptied(directory)
  const wanted = port ?? ((await isFree(defaultPort)) ? defaultPort : undefined)
  const interrupted = new Promise<void>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  const site = await Site.start({
    directory,
    nodes,
    settings: { ...usual, seed },
    ...(wanted === undefined ? {} : { port: wanted }),
    ...(quiet ? {} : { onEvent: tell }),
  })
  try {
    for (const machine of site.fleet.machines) await site.enrol(machine)
    console.log(nextSteps(site))
    await interrupted
    console.log('\nStopping.')
  } finally {
    await site.stop()
  }
}

/** What a machine does, a line each; heartbeats would drown the rest. */
function tell(machine: SimMachine, event: MachineEvent): void {
  const text = textOf(event)
  if (text !== null) console.log(`${new Date().toISOString().slice(11, 19)} ${machine.name}: ${text}`)
}

function textOf(event: MachineEvent): string | null {
  switch (event.kind) {
    case 'power':
      return event.on ? 'power on' : 'power off'
    case 'running':
      return event.what === 'off' ? null : `runs its ${event.what}`.replace('runs its stuck', 'found nothing to boot')
    case 'looked up':
      return `is node ${event.nodeUuid}`
    case 'step':
      return `agent begins step ${event.step}`
    case 'note':
      return event.text
    case 'heartbeat':
      return null
  }
}

function nextSteps(site: Site): string {
  const { endpoint, logFile } = site.service
  const names = site.fleet.machines.map(machine => machine.name)
  const [first = ''] = names
  const info = Object.entries(site.instanceInfo()).map(([name, value]) => `--instance-info ${name}=${value}`)
  const isDefault = endpoint.endsWith(`:${defaultPort}`)
  return `
Ferrite runs at ${endpoint}, with ${names.length} simulated machine(s): ${names.join(', ')}.
Log of the service: ${logFile}

Try, in another terminal:
${isDefault ? '' : `  export OS_ENDPOINT=${endpoint}\n`}  ./ferrite node list
  ./ferrite node manage ${first} --wait
  ./ferrite node inspect ${first} --wait
  ./ferrite node provide ${first} --wait
  ./ferrite node set ${first} ${info.join(' ')}
  ./ferrite node deploy ${first} --wait
  ./ferrite node show ${first}
  ./ferrite node undeploy ${first} --wait

Ctrl-C stops service and machines.
`
}

const marker = '.ferrite-dev'

/** Removes what an earlier start left; nothing that anybody else put there. */
async function emptied(directory: string): Promise<void> {
  const found = await readdir(directory).catch((): string[] => [])
  const isOurs = found.length === 0 || found.includes(marker)
  if (!isOurs) {
    throw new InvalidInput(
      `--directory: ${directory} holds other files (${found.slice(0, 3).join(', ')}); expected an empty or a new one`,
    )
  }
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, marker), 'Everything here is removed when "ferrite dev" starts.\n')
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return await new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

function wholeNumber(option: string, text: string, { from, to }: { from: number; to: number }): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= from && value <= to) return value
  throw new InvalidInput(`${option}: found "${text}", expected a whole number from ${from} to ${to}`)
}
