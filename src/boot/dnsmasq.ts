/**
 * Runs dnsmasq for the operator who wants DHCP and TFTP from Ferrite: writes its files, starts it, starts it again when
 * it dies, and ends it; it ends with us even when we are killed. One that was left behind all the same is ended first;
 * one that another living Ferrite runs on the same state is left alone, and we refuse.
 *
 * Only the interface of [ferrite] dhcp_interface is served, in the network namespace that we run in.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { BlockList, isIPv4 } from 'node:net'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Config } from '#config/options.ts'
import type { Clock } from '#lib/clock.ts'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { run } from '#lib/run.ts'
import {
  type DnsmasqPaths,
  dnsmasqConfig,
  dnsmasqHosts,
  type KnownMachine,
  mayBeReread,
  servingOf,
} from './dnsmasq-config.ts'
import { type DnsmasqEvent, dnsmasqLogReader } from './dnsmasq-log.ts'
import { putFile } from './files.ts'
import { hangs } from './pulse.ts'

/** dnsmasq did not come up; the message has its last lines. */
export class DnsmasqFailed extends Fault {
  readonly status = 500
  readonly code = 'dnsmasq-failed'
}

export interface Dnsmasq {
  /** Replaces the machines that are answered; all are when [ferrite] dhcp_ignore_unknown is false. */
  setKnown(machines: Iterable<KnownMachine>): Promise<void>
  stop(): Promise<void>
}

export interface DnsmasqWorld {
  config: Config
  clock: Clock
  log: Log
  /** Each DHCP message and TFTP transfer as it happens. Must not throw. */
  onEvent?: (event: DnsmasqEvent) => void
  /** It does not serve any more, or serves again; why. Must not throw. */
  onOutage?: (state: 'down' | 'up', reason: string) => void
  /** Machines that are known at the start. */
  known?: Iterable<KnownMachine>
}

const START_LIMIT_MS = 10_000
const STOP_LIMIT_MS = 3000
const FIRST_PAUSE_MS = 1000
const LAST_PAUSE_MS = 30_000
/** After this time of service, the next end is news and not the same failure again. */
const GOOD_RUN_MS = 60_000

/**
 * Returns when dnsmasq serves.
 * @throws InvalidInput when the settings cannot work; DnsmasqFailed when it ends at once, or runs for another Ferrite
 */
export async function startDnsmasq(world: DnsmasqWorld): Promise<Dnsmasq> {
  const { config, log, clock, onOutage = () => {} } = world
  await checkSettings(config)
  const directory = resolve(config.DEFAULT.state_path, 'dnsmasq')
  await mkdir(directory, { recursive: true })
  const paths: DnsmasqPaths = {
    config: join(directory, 'dnsmasq.conf'),
    pid: join(directory, 'dnsmasq.pid'),
    leases: join(directory, 'leases'),
    hosts: join(directory, 'hosts'),
  }
  const owner = join(directory, 'owner.json')
  await endLeftover(paths, owner, log)
  await putFile(paths.config, dnsmasqConfig(absolute(config), paths), 0o644)
  await putFile(paths.hosts, dnsmasqHosts(world.known ?? []), 0o644)
  await putFile(owner, JSON.stringify(await identityOf(process.pid)), 0o644)

  const stopping = new AbortController()
  let child = await launch(world, paths).catch(async error => {
    await rm(owner, { force: true })
    throw error
  })
  let startedAtMs = clock.now()

  /** It was ended to be started with other hosts. */
  let isReplaced = false
  let serves = Promise.withResolvers<void>()
  const hostsNow = () => readFile(paths.hosts, 'utf8').catch(() => '')
  const launchAgain = async () => {
    const hosts = await hostsNow()
    const launched = await launch(world, paths).catch(error => {
      log.error({ error: String(error) }, 'dnsmasq could not be started again')
      return { process: undefined, ended: Promise.resolve(`no start: ${messageOf(error)}`) }
    })
    // Written while it started: it may have read them, or not.
    isReplaced = launched.process !== undefined && (await hostsNow()) !== hosts
    if (isReplaced) launched.process?.kill('SIGTERM')
    return launched
  }

  const supervised = (async () => {
    for (let pauseMs = FIRST_PAUSE_MS; ; ) {
      const ended = await endOf(child, world, stopping.signal)
      if (stopping.signal.aborted) return
      if (!isReplaced) {
        if (clock.now() - startedAtMs > GOOD_RUN_MS) pauseMs = FIRST_PAUSE_MS
        log.error({ ended, pauseMs }, 'dnsmasq ended by itself; it is started again')
        onOutage('down', `dnsmasq ended with ${ended}`)
        await clock.sleep(pauseMs, stopping.signal).catch(() => undefined)
        pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS)
        if (stopping.signal.aborted) return
      }
      const wasDown = !isReplaced
      startedAtMs = clock.now()
      child = await launchAgain()
      if (wasDown && child.process) onOutage('up', 'dnsmasq was started again')
      serves.resolve()
      serves = Promise.withResolvers()
    }
  })()

  return {
    async setKnown(machines) {
      const text = dnsmasqHosts(machines)
      const before = await hostsNow()
      if (before === text) return
      await putFile(paths.hosts, text, 0o644)
      isReplaced = !mayBeReread(before)
      const { promise: servesAgain } = serves
      child.process?.kill(isReplaced ? 'SIGTERM' : 'SIGHUP')
      if (isReplaced) await Promise.race([servesAgain, clock.sleep(START_LIMIT_MS, stopping.signal).catch(() => {})])
    },
    async stop() {
      if (stopping.signal.aborted) return
      stopping.abort()
      const { process: running, ended } = child
      const killer = setTimeout(() => running?.kill('SIGKILL'), STOP_LIMIT_MS)
      running?.kill('SIGTERM')
      await ended
      clearTimeout(killer)
      await supervised
      await Promise.all([paths.pid, owner].map(path => rm(path, { force: true })))
    },
  }
}

interface Child {
  process: ChildProcess | undefined
  /** How it ended. */
  ended: Promise<string>
}

/** How it ended: by itself, or because it hung. */
async function endOf({ process, ended }: Child, world: DnsmasqWorld, stop: AbortSignal): Promise<string> {
  const address = await ownAddress(world.config)
  if (!process || address === undefined) return ended
  const over = new AbortController()
  const signal = AbortSignal.any([over.signal, stop])
  const hung = hangs({ address, clock: world.clock, signal }).then(isHung => {
    if (isHung) process.kill('SIGKILL')
    return isHung
  })
  const how = await ended
  over.abort()
  return (await hung) ? `${how}, since it hung and did not answer` : how
}

/** Of the interface that is served. */
async function ownAddress({ ferrite }: Config): Promise<string | undefined> {
  const addresses = await interfaceAddresses().catch(() => new Map<string, string[]>())
  return addresses.get(ferrite.dhcp_interface ?? '')?.[0]?.split('/', 1)[0]
}

/** Starts the program and waits until it says that it serves. */
async function launch({ config, log, onEvent }: DnsmasqWorld, paths: DnsmasqPaths): Promise<Child> {
  const args = ['--keep-in-foreground', `--conf-file=${paths.config}`, `--pid-file=${paths.pid}`]
  // Ends with us, however we end: answered DHCP sends a machine on to boot files that nobody serves, and its firmware
  // boots the disk then; unanswered, it goes on asking until we are back.
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', config.ferrite.dnsmasq_binary, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // Its usual places are not in everybody's path.
    env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
  })
  const said: string[] = []
  const read = dnsmasqLogReader()
  const { promise: serves, resolve: nowServes } = Promise.withResolvers<'serves'>()
  const ended = new Promise<string>(resolve => {
    child.once('error', error => resolve(String(error)))
    child.once('close', (code, signal) => resolve(signal === null ? `status ${code}` : `signal ${signal}`))
  })
  createInterface({ input: child.stderr }).on('line', line => {
    if (said.push(line) > 20) said.shift()
    if (/^dnsmasq(\[\d+\])?: started, version/.test(line)) nowServes('serves')
    const event = read(line)
    if (event) {
      log.debug(event, 'dnsmasq')
      onEvent?.(event)
    } else log.debug({ line }, 'dnsmasq')
  })
  const limit = AbortSignal.timeout(START_LIMIT_MS)
  const outcome = await Promise.race([
    serves,
    ended,
    new Promise<string>(resolve => limit.addEventListener('abort', () => resolve('no sign of life'))),
  ])
  if (outcome === 'serves') return { process: child, ended }
  child.kill('SIGKILL')
  if (said.some(line => /^setpriv: failed to execute .*: No such file/.test(line))) {
    throw new InvalidInput(
      `Cannot run dnsmasq: there is no program ${config.ferrite.dnsmasq_binary} (Debian: package dnsmasq-base); ` +
        'install it, or set [ferrite] dnsmasq_binary',
    )
  }
  throw new DnsmasqFailed(
    `Cannot run dnsmasq on ${config.ferrite.dhcp_interface}: it ended with ${outcome}${said.length > 0 ? `: ${said.join('; ')}` : ''}`,
  )
}

/** dnsmasq changes its directory. */
function absolute(config: Config): Config {
  return { ...config, pxe: { ...config.pxe, tftp_root: resolve(config.pxe.tftp_root) } }
}

/** @throws InvalidInput for what dnsmasq would take and then never answer */
async function checkSettings({ ferrite }: Config): Promise<void> {
  const { dhcp_interface: name, dhcp_range: range } = ferrite
  if (name === null || range === null) {
    const missing = [name === null ? 'dhcp_interface' : '', range === null ? 'dhcp_range' : ''].filter(each => each)
    throw new InvalidInput(
      `Cannot run dnsmasq: [ferrite] ${missing.join(' and ')} is not set, and manage_dnsmasq needs it`,
    )
  }
  const interfaces = await interfaceAddresses()
  const addresses = interfaces.get(name)
  if (addresses === undefined) {
    const found = [...interfaces.keys()].join(', ')
    throw new InvalidInput(
      `Cannot run dnsmasq: [ferrite] dhcp_interface is ${name}; expected an interface of this host, found ${found}`,
    )
  }
  const [first = '', second = ''] = range.split(',')
  // Beside another server, the range is that network by its first address.
  const last = servingOf(range) === 'proxy' ? first : second
  const own = addresses.filter(cidr => isIPv4(cidr.split('/', 1)[0] ?? '') === isIPv4(first))
  const fits = own.some(cidr => [first, last].every(address => isWithin(address, cidr)))
  if (!fits) {
    throw new InvalidInput(
      `Cannot run dnsmasq: [ferrite] dhcp_range is ${range}; expected a range in the network of ${name}, ` +
        `which has ${own.join(', ') || 'no such address'}`,
    )
  }
}

const Interfaces = Type.Array(
  Type.Object({
    ifname: Type.String(),
    addr_info: Type.Array(Type.Object({ local: Type.String(), prefixlen: Type.Integer() })),
  }),
)

/**
 * The addresses of each interface, as `ADDRESS/PREFIX`. Asked of iproute2, because Node leaves out interfaces without a
 * carrier: a bridge whose machines are all switched off is one.
 */
async function interfaceAddresses(): Promise<Map<string, string[]>> {
  const { stdout } = await run('ip', ['-json', 'address', 'show'])
  const interfaces = Value.Parse(Interfaces, JSON.parse(stdout))
  return new Map(
    interfaces.map(({ ifname, addr_info }) => [ifname, addr_info.map(each => `${each.local}/${each.prefixlen}`)]),
  )
}

function isWithin(address: string, cidr: string): boolean {
  const [network = '', prefix = ''] = cidr.split('/')
  const family = isIPv4(network) ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  list.addSubnet(network, Number(prefix), family)
  return list.check(address, family)
}

interface Identity {
  pid: number
  /** Clock ticks since the boot of the host: tells a process from a later one with its number. */
  startedAt: string
}

/** Ends a dnsmasq that runs with our configuration file and whose Ferrite is gone. @throws DnsmasqFailed when it is not */
async function endLeftover(paths: DnsmasqPaths, owner: string, log: Log): Promise<void> {
  const pid = Number(await readFile(paths.pid, 'utf8').catch(() => ''))
  const isOurs = Number.isInteger(pid) && pid > 0 && (await commandLine(pid)).includes(`--conf-file=${paths.config}`)
  const recorded = await readFile(owner, 'utf8').catch(() => 'null')
  const before = JSON.parse(recorded) as Identity | null // written by us
  const lives = before !== null && (await identityOf(before.pid))?.startedAt === before.startedAt
  if (lives && before.pid !== process.pid && isOurs) {
    throw new DnsmasqFailed(
      `Cannot run dnsmasq: process ${before.pid} runs one with the same state (${paths.config}); expected one service per state directory`,
    )
  }
  if (!isOurs) return
  log.info({ pid }, 'ending the dnsmasq that an earlier process left behind')
  const isGone = async () => !(await commandLine(pid)).includes(`--conf-file=${paths.config}`)
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    try {
      process.kill(pid, signal)
    } catch {
      return // it ended in the meantime
    }
    for (const deadline = Date.now() + STOP_LIMIT_MS; Date.now() < deadline; ) {
      if (await isGone()) return
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
  throw new DnsmasqFailed(`Cannot run dnsmasq: process ${pid}, left behind by an earlier service, does not end`)
}

/** Arguments of a process; none for one that is not there, or dead and not yet reaped. */
async function commandLine(pid: number): Promise<string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
}

async function identityOf(pid: number): Promise<Identity | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  // The second field, the name, may hold blanks; the 22nd is the start time. Source: proc_pid_stat(5).
  const startedAt = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  return startedAt === undefined ? null : { pid, startedAt }
}
