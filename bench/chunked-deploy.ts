/**
 * What the chunked form of images is worth, with the real service, the real agent and a loop device: a large image with
 * little data is deployed, then an image of that data alone, then the large one again while its connections are broken
 * twenty times and the conductor is killed twice. Bytes are counted where they cross the network; what lies on the disk
 * is compared with the image. Ends with status 1 when a goal is missed. Needs root.
 *
 *   node bench/chunked-deploy.ts [--gib 20] [--data-mib 1024] [--dir /tmp]
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { run } from '#lib/run.ts'
import type { ImageTraffic } from '#protocol/chunked-image.ts'
import { Bench, type Node } from '../test/faults/bench.ts'
import type { BenchMachine } from '../test/faults/machine.ts'

const mib = 2 ** 20
const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '20' },
    'data-mib': { type: 'string', default: '1024' },
    dir: { type: 'string', default: '/tmp' },
  },
})
const imageMib = Number(values.gib) * 1024
const dataMib = Number(values['data-mib'])
const rounds = 3

/** The network between the file server and the agents. */
class Wire {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  targetPort = 0
  /** Bytes that went towards agents. */
  passed = 0
  onBytes: () => void = () => {}

  private constructor() {
    this.#server = createServer(client => this.#join(client, connect({ host: '127.0.0.1', port: this.targetPort })))
  }

  static async open(): Promise<Wire> {
    const wire = new Wire()
    await new Promise<void>(resolve => wire.#server.listen(0, '127.0.0.1', resolve))
    return wire
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}` // TCP, so not a pipe's name
  }

  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  close(): void {
    this.cut()
    this.#server.close()
  }

  #join(client: Socket, server: Socket): void {
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    client.pipe(server)
    server.on('data', chunk => {
      this.passed += chunk.length
      this.onBytes()
    })
    server.pipe(client)
  }
}

const hashes = new Map<string, string>()
/** Of the agents' processes, the most that any held. */
let peakKib = 0
const dir = mkdtempSync(join(values.dir, 'ferrite-chunked-'))
const wire = await Wire.open()
const agentParameters = {
  'ipa-listen-host': '127.0.0.1',
  'ipa-advertise-host': '127.0.0.1',
  'ipa-image-download-connection-retries': 300,
  'ipa-image-download-connection-retry-interval': 0.2,
}
const bench = await Bench.open({
  // The bench keeps its boot files in a directory of its own there.
  conductor: { file_url_allowed_paths: `${dir},${tmpdir()}` },
  deploy: { erase_devices_priority: 0, http_url: wire.url },
  pxe: {
    kernel_append_params: Object.entries(agentParameters)
      .map(word => word.join('='))
      .join(' '),
  },
})
wire.targetPort = Number(/^http_port *= *(\d+)/m.exec(readFileSync(join(bench.directory, 'ferrite.conf'), 'utf8'))?.[1])
let missed = false
try {
  const large = makeImage('large', imageMib)
  const dense = makeImage('dense', dataMib + 4)
  const machine = await bench.enrol('chunked', { diskMib: Math.max(imageMib + 1024, 5 * 1024) })
  await bench.bring(machine, 'manage', 'manageable')
  await bench.bring(machine, 'provide', 'available')

  const first = await deploy(machine, large, 'active')
  say(`first deployment of ${values.gib} GiB with ${dataMib} MiB of data, image made ready included`, first)
  // In turns, for the speed of disks varies from minute to minute.
  const whole: ImageTraffic[] = []
  const alone: ImageTraffic[] = []
  for (let round = 1; round <= rounds; round++) {
    const again = await deploy(machine, large, 'rebuild')
    say('the same again', again)
    whole.push(again.traffic)
    const dataAlone = await deploy(machine, dense, 'rebuild')
    say(`an image of ${dataMib} MiB, all data`, dataAlone)
    alone.push(dataAlone.traffic)
  }
  goal('the time of its data', medianSeconds(whole) / medianSeconds(alone), 1.15)

  let [cuts, kills] = [0, 0]
  const startAt = wire.passed
  const step = first.traffic.received_bytes / 22
  wire.onBytes = () => {
    if (cuts >= 20 || wire.passed - startAt < (cuts + 1) * step) return
    cuts++
    wire.cut()
    if (cuts % 7 !== 0) return
    kills++
    void bench.service.kill('SIGKILL').then(() => bench.service.resume())
  }
  const broken = await deploy(machine, large, 'rebuild')
  wire.onBytes = () => {}
  say(`with ${cuts} broken connections and ${kills} killed conductors`, broken)
  assert.deepEqual([cuts, kills], [20, 2])
  goal('sent twice, of all', broken.passed / first.passed - 1, 0.05)
  goal("memory of the agent's process, MiB", peakKib / 1024, 150)
} finally {
  await bench.close()
  wire.close()
  rmSync(dir, { recursive: true })
}
if (missed) process.exitCode = 1

interface Outcome {
  traffic: ImageTraffic
  /** That crossed the network to the agent, boot files included. */
  passed: number
  seconds: number
}

async function deploy(machine: BenchMachine, file: string, target: 'active' | 'rebuild'): Promise<Outcome> {
  // Not by a blocking call: connections to the service end meanwhile, and this process would not hear of it.
  const image_os_hash_value = hashes.get(file) ?? (await run('sha256sum', [file])).stdout.slice(0, 64)
  hashes.set(file, image_os_hash_value)
  const info = {
    image_source: `file://${file}`,
    image_os_hash_algo: 'sha256',
    image_os_hash_value,
    image_disk_format: 'raw',
  }
  await bench.set(machine, '/instance_info', info)
  const [startedMs, passedBefore] = [performance.now(), wire.passed]
  await bench.ask(machine, target)
  const node = await deployed(machine)
  const seconds = (performance.now() - startedMs) / 1000
  const { image_traffic: traffic } = node.driver_internal_info as { image_traffic: ImageTraffic } // as served
  const size = String(traffic.image_bytes)
  await run('cmp', ['-n', size, file, machine.disk.device])
  return { traffic, passed: wire.passed - passedBefore, seconds }
}

/** Large images take long; and while the conductor is down nobody answers. */
async function deployed(machine: BenchMachine): Promise<Node> {
  const end = performance.now() + 1_800_000
  for (;;) {
    const node = await bench.node(machine).catch(() => null)
    if (node?.provision_state === 'active' && node.reservation === null) return node
    notePeak()
    const failed = String(node?.provision_state).endsWith('failed')
    assert.ok(
      !failed && performance.now() < end,
      `${node?.provision_state}: ${node?.last_error}\n${machine.agentLog()}`,
    )
    await sleep(200)
  }
}

function notePeak(): void {
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${bench.directory}/agent.mjs`)) continue
      const [, kib] = /VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
      peakKib = Math.max(peakKib, Number(kib ?? 0))
    } catch {
      // It ended meanwhile.
    }
  }
}

function say(what: string, { traffic, passed, seconds }: Outcome): void {
  const { received_bytes, received_twice_bytes, written_bytes, zeroed_bytes } = traffic
  const [network, came, twice, written, zeroed] = [
    passed,
    received_bytes,
    received_twice_bytes,
    written_bytes,
    zeroed_bytes,
  ].map(bytes => `${(bytes / mib).toFixed(1)} MiB`)
  console.log(
    `${what}:\n  ${traffic.form}, written in ${traffic.seconds} s (deployed in ${seconds.toFixed(1)} s); ` +
      `${network} crossed the network, ${came} received, ${twice} of them twice; ${written} written, ${zeroed} zeroed`,
  )
}

function medianSeconds(traffics: readonly ImageTraffic[]): number {
  return traffics.map(({ seconds }) => seconds).sort((a, b) => a - b)[Math.floor(traffics.length / 2)] ?? Number.NaN
}

function goal(what: string, found: number, most: number): void {
  const reached = found <= most
  missed ||= !reached
  console.log(`${reached ? 'reached' : 'MISSED'}: ${what}: ${found.toFixed(3)}, goal at most ${most}`)
}

/** An image with a partition table and random data, in pieces that are spread over it. */
function makeImage(name: string, sizeMib: number): string {
  const file = join(dir, name)
  writeFileSync(file, '')
  truncateSync(file, sizeMib * mib)
  const script = `label: dos\nlabel-id: 0x1badb002\nstart=2048, size=8192\nstart=10240\n`
  execFileSync('sfdisk', ['--quiet', file], { input: script })
  const handle = openSync(file, 'r+')
  const [pieceMib, count] = [16, dataMib / 16]
  const every = Math.floor((sizeMib - 4) / count)
  for (let piece = 0; piece < count; piece++) {
    writeSync(handle, randomBytes(pieceMib * mib), 0, pieceMib * mib, (2 + piece * every) * mib)
  }
  closeSync(handle)
  return file
}
