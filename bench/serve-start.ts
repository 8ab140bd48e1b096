/**
 * How long `ferrite serve` takes from nothing to its first 200 answer, and how much memory it holds when idle. Runs it
 * the way an operator does, by the launcher, in a new directory each time; prints every run and the medians.
 *
 *   node bench/serve-start.ts [RUNS]     (5; on a machine that does nothing else)
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '#lab/service-process.ts'

const launcher = join(import.meta.dirname, '..', 'ferrite')
const idleMs = 10_000
const startLimitMs = 60_000

interface Run {
  /** With no database yet. */
  firstStartMs: number
  /** Of the same service again: the database is there. */
  restartMs: number
  idleMiB: number
}

const count = Number(process.argv[2] ?? 5)
const runs: Run[] = []
console.log(`load average ${loadavg()[0]?.toFixed(2)}`)
for (let at = 0; at < count; at++) {
  const run = await measure()
  runs.push(run)
  console.log(line(run))
}
const middle = (key: keyof Run) => runs.map(run => run[key]).sort((a, b) => a - b)[Math.floor(runs.length / 2)] ?? 0
console.log(`median of ${count}:`)
console.log(line({ firstStartMs: middle('firstStartMs'), restartMs: middle('restartMs'), idleMiB: middle('idleMiB') }))

function line({ firstStartMs, restartMs, idleMiB }: Run): string {
  const ms = (value: number) => `${value.toFixed(0)} ms`
  return `first start ${ms(firstStartMs)}, restart ${ms(restartMs)}, idle ${idleMiB.toFixed(1)} MiB`
}

async function measure(): Promise<Run> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-bench-'))
  try {
    const [port = 0, httpPort = 0] = await freePorts(2)
    const file = join(directory, 'ferrite.conf')
    const options = [
      `[DEFAULT]\nmy_ip = 127.0.0.1\nstate_path = ${join(directory, 'state')}`,
      `[api]\nhost_ip = 127.0.0.1\nport = ${port}`,
      `[ferrite]\nhttp_host = 127.0.0.1\nhttp_port = ${httpPort}`,
    ]
    await writeFile(file, `${options.join('\n')}\n`)
    const first = await start(file, port)
    await stop(first)
    const second = await start(file, port)
    await sleep(idleMs)
    const idleMiB = await residentMiB(second.child.pid ?? 0)
    await stop(second)
    return { firstStartMs: first.ms, restartMs: second.ms, idleMiB }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

type Started = Awaited<ReturnType<typeof start>>

async function start(configFile: string, port: number) {
  const began = performance.now()
  const child = spawn(launcher, ['serve', '--config-file', configFile], { stdio: ['ignore', 'ignore', 'inherit'] })
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() - began > startLimitMs)
      throw new Error('ferrite serve did not start')
    await sleep(1)
  }
  return { child, ms: performance.now() - began }
}

async function stop({ child }: Started): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const request = get({ port, host: '127.0.0.1', path: '/v1', agent: false }, response => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    request.on('error', () => resolve(false))
  })
}

/** VmRSS of a process; the launcher has become the service by exec. */
async function residentMiB(pid: number): Promise<number> {
  const [, kib = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) / 1024
}
