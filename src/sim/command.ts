/**
 * `ferrite sim`: how a service does with a fleet. Reads the command line, starts the fleet and (unless one is named) a
 * service, takes all machines through the phases asked for, and prints how many got through, how fast, and at what cost.
 * See docs/simulator.md.
 */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { Api } from '#cli/client.ts'
import { apiSettings } from '#cli/global-options.ts'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'
import { type Phase, phases } from './campaign.ts'
import type { Range } from './chance.ts'
import { reportText } from './report.ts'
import { brisk, type Settings, usual } from './settings.ts'
import { type Report, simulate } from './simulate.ts'
import { foreignTarget, ownTarget, type Target } from './target.ts'

const usage = `Usage: ferrite sim [OPTION...]

Simulates a fleet (BMCs over HTTPS, agents over HTTP) and takes it through the life of its nodes: how many get through,
how fast, and what the service needs for it. Starts "ferrite serve" for that, or drives any service of Ironic's API.

What is done:
  --nodes N                  number of machines (100)
  --phases LIST              of ${phases.join(',')}
                             (all but inspect, and but remove where the service is our own);
                             without clean, nodes become available without it
  --concurrency N            nodes under way at a time (500)
  --standing N               so many of the machines stay in a cleaning without end and only send heartbeats (0)

What machines are like:
  --seed N                   the same number, the same machines, delays and failures (1)
  --brisk                    as fast as it gets; else their seconds are a hundredth of a real machine's minutes
  --bmc-delay MS[-MS]        until a BMC answers
  --write-time MS[-MS]       that writing an image takes
  --heartbeat-interval S     between heartbeats where nothing calls for an earlier one (0.3 to 0.6 of what the API says)
  --bmc-failures RATE        of requests: half are answered 503, half by a broken connection; from 0 to 1 (0)
  --agent-failures RATE      of heartbeats lost, and of requests to agents whose connection breaks (0)
  --boot-failures RATE       of network boots that end nowhere (0)
  --step-failures RATE       of steps that fail (0)
  --fetch-images             agents fetch images and hash them, instead of only taking the time

What it drives:
  --service URL              a running service, with OS_AUTH_TYPE and its like as the client reads them
  --pid N                    of that service, where it runs on this host: its memory and CPU are measured
  --address IP               of this host, where that service reaches it (127.0.0.1)
  --state DIR                where our own service keeps its state; kept at the end (a temporary directory)
  --set SECTION.OPTION=VALUE an option for our own service; repeatable

  --json                     the report as one JSON object
  --quiet                    do not tell how far it is
  -h, --help                 this text

Ends with status 0 when all nodes got through all phases. Ctrl-C ends everything.`

const declared = {
  nodes: { type: 'string', default: '100' },
  phases: { type: 'string' },
  concurrency: { type: 'string', default: '500' },
  standing: { type: 'string', default: '0' },
  seed: { type: 'string', default: '1' },
  brisk: { type: 'boolean', default: false },
  'bmc-delay': { type: 'string' },
  'write-time': { type: 'string' },
  'heartbeat-interval': { type: 'string' },
  'bmc-failures': { type: 'string', default: '0' },
  'agent-failures': { type: 'string', default: '0' },
  'boot-failures': { type: 'string', default: '0' },
  'step-failures': { type: 'string', default: '0' },
  'fetch-images': { type: 'boolean', default: false },
  service: { type: 'string' },
  pid: { type: 'string' },
  address: { type: 'string', default: '127.0.0.1' },
  state: { type: 'string' },
  set: { type: 'string', multiple: true },
  json: { type: 'boolean', default: false },
  quiet: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} satisfies ParseArgsOptionsConfig

/** @returns the exit status */
export async function main(args: string[]): Promise<number> {
  const interrupt = new AbortController()
  const onSignal = () => interrupt.abort(new Interrupted('Interrupted'))
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, onSignal)
  try {
    const { values } = parseArgs({ args, options: declared })
    if (values.help) {
      console.log(usage)
      return 0
    }
    return await run(values, interrupt.signal)
  } catch (thrown) {
    // Whatever an interruption broke off: it was the interruption.
    const error: unknown = interrupt.signal.aborted ? interrupt.signal.reason : thrown
    const expected = error instanceof Fault || (error instanceof TypeError && 'code' in error)
    console.error(expected ? `ferrite sim: ${messageOf(error)}` : error)
    return error instanceof Interrupted ? 130 : 1
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal)
  }
}

/** The user pressed Ctrl-C. */
class Interrupted extends Fault {
  readonly status = 499
  readonly code = 'interrupted'
}

type Values = ReturnType<typeof parseArgs<{ options: typeof declared }>>['values']

async function run(values: Values, signal: AbortSignal): Promise<number> {
  const nodes = whole('--nodes', values.nodes, { from: 1, to: 100_000 })
  const standing = whole('--standing', values.standing, { from: 0, to: nodes })
  const concurrency = whole('--concurrency', values.concurrency, { from: 1, to: 100_000 })
  const settings = settingsOf(values)
  const wanted = phasesOf(values)
  const say = values.quiet ? () => {} : (line: string) => void process.stderr.write(`${line}\n`)

  const heartbeatMs: number[] = []
  let retries = 0
  const connection = await apiSettings(
    values.service === undefined ? {} : { endpoint: values.service },
    { env: values.service === undefined ? {} : process.env, sleep: async () => {} },
    { notice: () => {} },
  )
  const client = (endpoint: string) =>
    new Api({
      ...connection,
      endpoint,
      maxRetries: 240,
      retryIntervalMs: 500,
      sleep: async ms => {
        retries++
        // A service that Ctrl-C ended, too, is not waited for.
        await sleep(ms, undefined, { signal })
      },
    })
  const common = {
    nodes,
    settings,
    onEvent: (_: unknown, event: { kind: string; outcome?: string; ms?: number }) => {
      if (event.kind === 'heartbeat' && event.outcome === 'accepted') heartbeatMs.push(event.ms ?? 0)
    },
  }
  let target: Target
  if (values.service === undefined) {
    const directory = values.state === undefined ? await mkdtemp(join(tmpdir(), 'ferrite-sim-')) : resolve(values.state)
    target = await ownTarget({
      ...common,
      directory,
      keep: values.state !== undefined,
      config: configOf(values.set ?? []),
    })
  } else {
    const prefix = `sim-${settings.seed}-${Date.now().toString(36)}`
    const endpoint = values.service
    const pid = values.pid === undefined ? undefined : whole('--pid', values.pid, { from: 1, to: 2 ** 22 })
    target = await foreignTarget({ ...common, prefix, endpoint, pid, address: values.address, api: client(endpoint) })
  }
  let report: Report
  try {
    say(`${nodes} machines, seed ${settings.seed}; the service answers at ${target.endpoint}`)
    report = await simulate({
      target,
      api: client(target.endpoint),
      retries: () => retries,
      takeHeartbeats: () => heartbeatMs.splice(0),
      phases: wanted,
      standing,
      concurrency,
      seed: settings.seed,
      signal,
      say,
    })
  } finally {
    await target.stop()
  }
  console.log(values.json ? JSON.stringify(report) : reportText(report))
  return report.phases.every(phase => phase.failed === 0) ? 0 : 1
}

function settingsOf(values: Values): Settings {
  const base = values.brisk ? brisk : usual
  const bmc = rate('--bmc-failures', values['bmc-failures'])
  const agent = rate('--agent-failures', values['agent-failures'])
  const bmcDelay = values['bmc-delay']
  const writeTime = values['write-time']
  const interval = values['heartbeat-interval']
  const intervalMs = interval === undefined ? null : Number(interval) * 1000
  if (intervalMs !== null && !(intervalMs > 0)) {
    throw new InvalidInput(`--heartbeat-interval: found "${interval}", expected a number of seconds above 0`)
  }
  return {
    seed: whole('--seed', values.seed, { from: 0, to: 2 ** 32 - 1 }),
    delayMs: {
      ...base.delayMs,
      ...(bmcDelay === undefined ? {} : { bmcAnswer: range('--bmc-delay', bmcDelay) }),
      ...(writeTime === undefined ? {} : { write: range('--write-time', writeTime) }),
    },
    rate: {
      ...base.rate,
      bmcBusy: bmc / 2,
      bmcSilent: bmc / 2,
      heartbeatLost: agent,
      agentSilent: agent,
      bootHangs: rate('--boot-failures', values['boot-failures']),
      stepFails: rate('--step-failures', values['step-failures']),
    },
    agent: {
      ...base.agent,
      // A tenth up or down, so that a fleet that was started at once does not beat as one.
      heartbeatMs: intervalMs === null ? null : [intervalMs * 0.9, intervalMs * 1.1],
      sharedCertificate: true,
      fetchesImages: values['fetch-images'],
    },
  }
}

function phasesOf({ phases: list, service }: Values): Phase[] {
  if (list === undefined) {
    return phases.filter(phase => phase !== 'inspect' && (phase !== 'remove' || service !== undefined))
  }
  return list.split(',').map(word => {
    const phase = phases.find(one => one === word.trim())
    if (phase === undefined) throw new InvalidInput(`--phases: found "${word}", expected some of ${phases.join(', ')}`)
    return phase
  })
}

/** `--set api.port=1` by section. */
function configOf(words: readonly string[]): Record<string, Record<string, string>> {
  const sections: Record<string, Record<string, string>> = {}
  for (const word of words) {
    const [, section = '', option = '', value = ''] = /^(\w+)\.(\w+)=(.*)$/s.exec(word) ?? []
    if (section === '') throw new InvalidInput(`--set: found "${word}", expected SECTION.OPTION=VALUE`)
    sections[section] = { ...sections[section], [option]: value }
  }
  return sections
}

function whole(option: string, text: string, { from, to }: { from: number; to: number }): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= from && value <= to) return value
  throw new InvalidInput(`${option}: found "${text}", expected a whole number from ${from} to ${to}`)
}

function rate(option: string, text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && value <= 1) return value
  throw new InvalidInput(`${option}: found "${text}", expected a number from 0 to 1, such as 0.05`)
}

function range(option: string, text: string): Range {
  const [from, to = from] = text.split('-').map(Number)
  if (from !== undefined && to !== undefined && from >= 0 && to >= from) return [from, to]
  throw new InvalidInput(`${option}: found "${text}", expected milliseconds such as 20 or 5-50`)
}
