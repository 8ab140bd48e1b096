/**
 * What requests of the API cost: CPU time of the service per request, how long callers wait, and its memory. Starts
 * `ferrite serve` in a new directory on SQLite, fills it with nodes of fake hardware and one port each, and asks.
 *
 *   node bench/api.ts [--nodes 5000] [--seconds 5] [--concurrency 8]
 *
 * CPU time depends on what else the machine does: compare figures of one run, or of two runs one after the other.
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Pool } from 'undici'
import { freePorts } from '#lab/service-process.ts'

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '5' },
    concurrency: { type: 'string', default: '8' },
  },
})
const [nodes, seconds, concurrency] = [values.nodes, values.seconds, values.concurrency].map(Number) as [
  number,
  number,
  number,
]
const launcher = join(import.meta.dirname, '..', 'ferrite')
const clockTicks = 100

const directory = await mkdtemp(join(tmpdir(), 'ferrite-bench-'))
try {
  await bench()
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function bench(): Promise<void> {
  const [port = 0, httpPort = 0] = await freePorts(2)
  const file = join(directory, 'ferrite.conf')
  const options = [
    `[DEFAULT]\nmy_ip = 127.0.0.1\nauth_strategy = noauth\nstate_path = ${join(directory, 'state')}`,
    `[api]\nhost_ip = 127.0.0.1\nport = ${port}`,
    `[ferrite]\nhttp_host = 127.0.0.1\nhttp_port = ${httpPort}`,
  ]
  await writeFile(file, `${options.join('\n')}\n`)
  const child = spawn(launcher, ['serve', '--config-file', file], { stdio: ['ignore', 'ignore', 'inherit'] })
  const pid = child.pid ?? 0
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: concurrency, pipelining: 1 })
  const call = async (method: 'GET' | 'POST' | 'PATCH', path: string, body?: object) => {
    const answer = await pool.request({
      method,
      path,
      headers: { 'x-openstack-ironic-api-version': '1.82', 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await answer.body.text()
    if (answer.statusCode >= 400) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`)
    return text
  }
  while (!(await call('GET', '/v1').catch(() => false))) {
    if (child.exitCode !== null) throw new Error('ferrite serve did not start')
    await sleep(50)
  }
  console.log(`${nodes} nodes, ${concurrency} callers, load average ${loadavg()[0]?.toFixed(2)}`)
  console.log(`idle: ${await memory(pid)}`)

  const uuids = Array.from({ length: nodes }, () => randomUUID())
  let made = 0
  await measure('create node', pid, { count: nodes }, () => call('POST', '/v1/nodes', nodeBody(uuids, made++)))
  let ports = 0
  await measure('create port', pid, { count: nodes }, () => call('POST', '/v1/ports', portBody(uuids, ports++)))
  const some = () => uuids[Math.floor(Math.random() * nodes)]
  await measure('one node', pid, {}, () => call('GET', `/v1/nodes/${some()}`))
  await measure('patch', pid, {}, n =>
    call('PATCH', `/v1/nodes/${some()}`, [{ op: 'add', path: '/extra/tick', value: n }]),
  )
  await measure('page of 1,000', pid, {}, () => call('GET', '/v1/nodes?limit=1000'))
  await measure('with detail', pid, {}, () => call('GET', '/v1/nodes/detail?limit=1000'))
  console.log(`after the load: ${await memory(pid)}`)

  await pool.close()
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone
}

/** Repeats `work` by as many callers at once as asked for, so often or for so long, and prints what it cost. */
async function measure(
  name: string,
  pid: number,
  { count = Number.POSITIVE_INFINITY }: { count?: number },
  work: (n: number) => Promise<unknown>,
): Promise<void> {
  const waits: number[] = []
  let begun = 0
  const startMs = performance.now()
  const endMs = count === Number.POSITIVE_INFINITY ? startMs + seconds * 1000 : Number.POSITIVE_INFINITY
  const cpuBefore = await cpuMs(pid)
  const caller = async () => {
    while (begun < count && performance.now() < endMs) {
      begun += 1
      const sentMs = performance.now()
      await work(begun)
      waits.push(performance.now() - sentMs)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, caller))
  const each = ((await cpuMs(pid)) - cpuBefore) / waits.length
  waits.sort((a, b) => a - b)
  const at = (part: number) => (waits[Math.floor((waits.length - 1) * part)] ?? 0).toFixed(1)
  const perS = (waits.length / (performance.now() - startMs)) * 1000
  const cost = `${each.toFixed(each < 1 ? 3 : 1)} ms CPU`.padStart(12)
  console.log(`${name.padEnd(14)} ${cost}, ${perS.toFixed(0)}/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`)
}

/** CPU time that a process has used, in milliseconds. */
async function cpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / clockTicks
}

async function memory(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const mib = (key: string) => (Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024).toFixed(0)
  return `${mib('VmRSS')} MiB resident, ${mib('VmHWM')} MiB at most`
}

function nodeBody(uuids: readonly string[], n: number): object {
  return {
    uuid: uuids[n],
    name: `bench-${n}`,
    driver: 'fake-hardware',
    resource_class: 'bench',
    properties: {
      cpus: '32',
      memory_mb: '131072',
      local_gb: '960',
      cpu_arch: 'x86_64',
      capabilities: 'boot_mode:uefi',
    },
    driver_info: { deploy_kernel: 'http://127.0.0.1/k', deploy_ramdisk: 'http://127.0.0.1/r', address: '192.0.2.10' },
    extra: { serial: `SN${n}`, location: { row: 4, rack: 'r12', unit: n % 42 } },
  }
}

function portBody(uuids: readonly string[], n: number): object {
  const [a, b, c] = [n >> 16, n >> 8, n].map(part => (part & 255).toString(16).padStart(2, '0'))
  const local_link_connection = { switch_id: '0a:1b:2c:3d:4e:5f', port_id: 'Ethernet1/7', switch_info: 'rack 12' }
  return { node_uuid: uuids[n], address: `52:54:00:${a}:${b}:${c}`, local_link_connection }
}
