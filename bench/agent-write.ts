/**
 * How fast the agent writes an image against `curl | dd` to the same loop device: real HTTP on loopback, the server in a
 * process of its own, runs in turn, data flushed at the end of each. The agent hashes with sha256 (and once sha512),
 * curl | dd does not; curl | tee >(sha256sum) | dd does. Needs root and curl.
 *
 *   node bench/agent-write.ts [--mib 1024] [--runs 5] [--dir /dev/shm]
 *
 * The agent is measured from the request for the image to the last flush, in a process that is already running.
 */
import { execFileSync, fork, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  createReadStream,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { selectHardware } from '#agent/hardware/dispatch.ts'
import { genericManager } from '#agent/hardware/generic.ts'
import type { Checksum } from '#agent/image/image-info.ts'
import type { ImageRun } from '#agent/image/prepare-image.ts'
import { streamToDisk } from '#agent/image/write-raw.ts'
import { defaultOptions } from '#agent/options.ts'
import { readSettings } from '#agent/settings.ts'
import { Store } from '#agent/store.ts'

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    runs: { type: 'string', default: '5' },
    dir: { type: 'string', default: '/dev/shm' },
    serve: { type: 'string' },
  },
})

if (values.serve === undefined) await measure(Number(values.mib), Number(values.runs))
else serve(values.serve)

function serve(file: string): void {
  const size = statSync(file).size
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Length': size })
    createReadStream(file, { highWaterMark: 1024 * 1024 }).pipe(response)
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port)) // TCP: not a pipe's name
}

async function measure(mib: number, runs: number): Promise<void> {
  const dir = mkdtempSync(join(values.dir, 'ferrite-bench-'))
  const image = join(dir, 'image')
  const out = openSync(image, 'w')
  const hashes = { sha256: createHash('sha256'), sha512: createHash('sha512') }
  for (let at = 0; at < mib; at += 16) {
    const block = randomBytes(16 * 1024 * 1024)
    writeSync(out, block)
    for (const hash of Object.values(hashes)) hash.update(block)
  }
  const digests = { sha256: hashes.sha256.digest('hex'), sha512: hashes.sha512.digest('hex') }
  const disk = join(dir, 'disk')
  writeFileSync(disk, '')
  truncateSync(disk, (mib + 64) * 1024 * 1024)
  const device = execFileSync('losetup', ['--find', '--show', disk]).toString().trim()
  const server = fork(fileURLToPath(import.meta.url), ['--serve', image])
  try {
    const port = await new Promise<number>(resolve => server.once('message', port => resolve(Number(port))))
    const url = `http://127.0.0.1:${port}/image`
    const run = await startAgent(device, dir)
    const contenders: Record<string, () => Promise<number> | number> = {
      'curl | dd': () => curlDd(url, device, ''),
      'curl | tee | dd': () => curlDd(url, device, '| tee >(sha256sum > /dev/null)'),
      'agent, sha256': () => agentWrite(run, url, device, { algorithm: 'sha256', expected: digests.sha256 }),
      'agent, sha512': () => agentWrite(run, url, device, { algorithm: 'sha512', expected: digests.sha512 }),
    }
    const seconds = new Map(Object.keys(contenders).map(name => [name, { wall: [] as number[], cpu: [] as number[] }]))
    for (let round = 0; round <= runs; round++) {
      for (const [name, work] of Object.entries(contenders)) {
        spawnSync('sync')
        const startedAt = performance.now()
        const cpu = await work()
        // The first run warms caches and the loop device's file.
        if (round === 0) continue
        seconds.get(name)?.wall.push((performance.now() - startedAt) / 1000)
        seconds.get(name)?.cpu.push(cpu)
      }
    }
    const base = median(seconds.get('curl | dd')?.wall ?? [])
    for (const [name, { wall, cpu }] of seconds) {
      const s = median(wall)
      const each = wall.map(value => value.toFixed(2)).join(' ')
      console.log(
        `${name.padEnd(16)} ${(mib / s).toFixed(0).padStart(6)} MiB/s  ${(base / s).toFixed(2)} of curl | dd  ` +
          `${median(cpu).toFixed(2)} s of processor  (${each} s)`,
      )
    }
    console.log(`peak memory of this process: ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`)
  } finally {
    server.kill()
    execFileSync('losetup', ['--detach', device])
    rmSync(dir, { recursive: true })
  }
}

/** Both return the seconds of processor time they used; the kernel's own threads are in neither. */
function curlDd(url: string, device: string, filter: string): number {
  const command = `set -o pipefail; curl -s '${url}' ${filter} | dd of=${device} bs=1M iflag=fullblock conv=fsync status=none && times`
  const { status, stdout } = spawnSync('bash', ['-c', command])
  if (status !== 0) throw new Error(`curl | dd ended with status ${status}`)
  const [, children = ''] = stdout.toString().trim().split('\n')
  return [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0)
}

async function startAgent(device: string, dir: string) {
  const agent = {
    options: defaultOptions(),
    settings: readSettings(['--only-devices', device, '--guest'], {}),
    store: new Store(join(dir, 'state')),
    log: { info() {}, warn() {}, error() {}, debug() {} },
    node: null,
  }
  const hardware = await selectHardware(agent, [genericManager(agent)])
  return { agent, hardware, node: null, progress() {}, signal: new AbortController().signal }
}

async function agentWrite(run: ImageRun, url: string, device: string, checksum: Checksum): Promise<number> {
  const before = process.cpuUsage()
  const capacityBytes = Number(readFileSync(`/sys/class/block/${device.slice(5)}/size`, 'utf8')) * 512
  const info = { id: 'image', urls: [url], disk_format: 'raw' }
  await streamToDisk({ info, checksum, device, capacityBytes }, run)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

function median(all: readonly number[]): number {
  return [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN
}
