/**
 * How fast the agent writes an image, and with how much memory, against what else there is: what network, disk and hash
 * can do each by itself, `curl | dd`, and the write loop of a stock ironic-python-agent (read 1 MiB, hash it, write it,
 * one after the other, in Python with requests). Same server, same loop device, real HTTP on loopback, runs in turn, data
 * flushed at the end of each. Once with an image full of data, once with one that is half zeros. Needs root and curl.
 *
 *   node bench/agent-write.ts [--mib 1024] [--runs 3] [--dir /dev/shm] [--disk-mib-s 80] [--network-mib-s 0]
 *
 * `--disk-mib-s` (by the kernel, which counts zeros that a disk makes by itself as written) and `--network-mib-s` make disk
 * and network as slow as real ones. With 0 they are as fast as they are; when both are, everybody waits for processors
 * here, and what the agent makes of disk and network is not judged. It ends with 1 when it misses a goal. Source of the
 * stock loop: openstack/ironic-python-agent `extensions/standby.py`.
 */
import assert from 'node:assert/strict'
import { execFileSync, fork, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
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
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import type { WriteJob } from '#agent/image/prepare-image.ts'
import { chunkImage } from '#images/chunked/chunk-image.ts'
import { dataFile, finishForm } from '#images/chunked/stored-form.ts'
import type { WriterJob, WriterResult } from './agent-writer.ts'

const mib = 2 ** 20
const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    runs: { type: 'string', default: '3' },
    dir: { type: 'string', default: '/dev/shm' },
    'disk-mib-s': { type: 'string', default: '80' },
    'network-mib-s': { type: 'string', default: '0' },
    serve: { type: 'string' },
  },
})
const imageMib = Number(values.mib)
const runs = Number(values.runs)
const diskRate = Number(values['disk-mib-s']) * mib
const networkRate = Number(values['network-mib-s']) * mib

/** The stock agent's loop, as far as it counts for its speed: a thread, buffered writes, nothing that overlaps. */
const stockLoop = `
import hashlib, os, sys
import requests
url, device = sys.argv[1:]
digest = hashlib.sha512()
answer = requests.get(url, stream=True, timeout=60)
with open(device, 'wb+') as disk:
    for block in answer.iter_content(1024 * 1024):
        digest.update(block)
        disk.write(block)
    disk.flush()
    os.fsync(disk.fileno())
print(digest.hexdigest())
`

if (values.serve === undefined) await measure()
else serve(values.serve)

/** Files below a directory, ranges of them too, at the network's pace whatever the number of connections. */
function serve(root: string): void {
  let freeAtMs = 0
  const pace = () =>
    new Transform({
      highWaterMark: 256 * 1024,
      async transform(bytes: Buffer, _, done) {
        const nowMs = performance.now()
        freeAtMs = Math.max(freeAtMs, nowMs - 5) + (bytes.length / networkRate) * 1000
        if (freeAtMs > nowMs + 1) await sleep(freeAtMs - nowMs)
        done(null, bytes)
      },
    })
  const server = createServer((request, response) => {
    const file = join(root, request.url ?? '')
    const { size } = statSync(file)
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const [start, end] = first === undefined ? [0, size - 1] : [Number(first), Math.min(Number(last), size - 1)]
    const range = first === undefined ? {} : { 'Content-Range': `bytes ${start}-${end}/${size}` }
    response.writeHead(first === undefined ? 200 : 206, { 'Content-Length': end - start + 1, ...range })
    const source = createReadStream(file, { start, end, highWaterMark: networkRate > 0 ? 256 * 1024 : mib })
    void (networkRate > 0 ? pipeline(source, pace(), response) : pipeline(source, response)).catch(() => {})
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port)) // TCP: not a pipe's name
}

interface Image {
  file: string
  digests: { sha256: string; sha512: string }
  manifestSha256: string
}

async function measure(): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const dir = mkdtempSync(join(values.dir, 'ferrite-bench-'))
  stack.defer(() => rmSync(dir, { recursive: true }))
  const images = { full: await makeImage(dir, 'full', 1), half: await makeImage(dir, 'half', 0.5) }
  const device = makeDisk(stack, dir)
  const server = fork(fileURLToPath(import.meta.url), ['--serve', dir, '--network-mib-s', values['network-mib-s']])
  stack.defer(() => void server.kill())
  const [port] = await once(server, 'message')
  const url = `http://127.0.0.1:${port}`
  const writer = await startWriter(stack, dir)

  const capacityBytes = Number(readFileSync(`/sys/class/block/${device.slice(5)}/size`, 'utf8')) * 512
  const agent = async (how: WriterJob['how'], name: 'full' | 'half', algorithm: 'sha256' | 'sha512') => {
    const { digests, manifestSha256 } = images[name]
    const base = `${url}/${name}`
    const ferrite_chunked = {
      manifest_url: `${base}/manifest.json`,
      manifest_sha256: manifestSha256,
      data_url: `${base}/chunks`,
    }
    const job: WriteJob = {
      info: { id: name, urls: [`${base}/image`], disk_format: 'raw', ...(how === 'chunked' && { ferrite_chunked }) },
      checksum: { algorithm, expected: digests[algorithm] },
      device,
      capacityBytes,
    }
    return await writer({ how, job, dir: join(dir, 'state') })
  }
  const contenders: [string, 'full' | 'half', () => Promise<WriterResult> | Promise<void> | void][] = [
    ['network alone', 'full', () => shell(`curl -s '${url}/full/image' > /dev/null`)],
    [
      'disk alone',
      'full',
      () => shell(`dd if=${images.full.file} of=${device} bs=2M oflag=direct conv=fsync status=none`),
    ],
    ['sha512 alone', 'full', () => shell(`openssl dgst -sha512 ${images.full.file} > /dev/null`)],
    ['curl | dd', 'full', () => curlDd(`${url}/full/image`, device)],
    ['stock loop, sha512', 'full', () => stock(`${url}/full/image`, device, images.full)],
    ['agent, sha256', 'full', () => agent('plain', 'full', 'sha256')],
    ['agent, sha512', 'full', () => agent('plain', 'full', 'sha512')],
    ['agent, chunked', 'full', () => agent('chunked', 'full', 'sha512')],
    ['stock loop, sha512', 'half', () => stock(`${url}/half/image`, device, images.half)],
    ['agent, sha512', 'half', () => agent('plain', 'half', 'sha512')],
    ['agent, chunked', 'half', () => agent('chunked', 'half', 'sha512')],
  ]
  const results = contenders.map(([name, image]) => ({ name, image, wall: [] as number[], peaks: [] as number[] }))
  for (let round = 0; round <= runs; round++) {
    for (const [index, [name, image, work]] of contenders.entries()) {
      spawnSync('sync')
      const startedAt = performance.now()
      const told = await work()
      const seconds = told?.seconds ?? (performance.now() - startedAt) / 1000
      if (told) results[index]?.peaks.push(told.peakMib)
      // The first run warms caches and the loop device's file; and what it wrote is looked at.
      if (round > 0) results[index]?.wall.push(seconds)
      else if (!name.endsWith('alone') || name.startsWith('disk')) compare(images[image].file, device)
    }
  }

  const found = results.map(({ name, image, wall, peaks }) => ({ name, image, s: median(wall), wall, peaks }))
  const secondsOf = (name: string, image: 'full' | 'half') =>
    found.find(one => one.name === name && one.image === image)?.s ?? Number.NaN
  const limit = Math.max(...['network alone', 'disk alone'].map(name => secondsOf(name, 'full')))
  for (const { name, image, s, wall, peaks } of found) {
    const peak = peaks.length === 0 ? '' : `, at most ${Math.max(...peaks).toFixed(0)} MiB of memory`
    const ratios = name.endsWith('alone')
      ? ''
      : `${(limit / s).toFixed(2)} of the limit, ${(secondsOf('stock loop, sha512', image) / s).toFixed(2)} x stock`
    console.log(
      `${image} ${name.padEnd(18)} ${(imageMib / s).toFixed(0).padStart(6)} MiB/s  ${ratios}${peak}  ` +
        `(${wall.map(value => value.toFixed(2)).join(' ')} s)`,
    )
  }
  console.log(`limit: the slower of network and disk, each alone with the full image: ${limit.toFixed(2)} s`)

  const stockHalfS = secondsOf('stock loop, sha512', 'half')
  const peakMb = (Math.max(...found.flatMap(({ peaks }) => peaks)) * mib) / 1e6
  const isLimited = diskRate > 0 || networkRate > 0
  const goals: Goal[] = [
    ['of the limit, full image, sha512', isLimited ? limit / secondsOf('agent, sha512', 'full') : null, 'least', 0.95],
    ['x stock, half empty image, plain', stockHalfS / secondsOf('agent, sha512', 'half'), 'least', 2],
    ['x stock, half empty image, chunked', stockHalfS / secondsOf('agent, chunked', 'half'), 'least', 2],
    ['MB of memory, whatever the image', peakMb, 'most', 150],
  ]
  if (!goals.map(judge).every(Boolean)) process.exitCode = 1
}

type Goal = [what: string, found: number | null, at: 'least' | 'most', limit: number]

/** Prints one line. @returns whether the goal is met, or cannot be judged */
function judge([what, value, at, goal]: Goal): boolean {
  const isMet = value === null || (at === 'least' ? value >= goal : value <= goal)
  const verdict = value === null ? 'not judged' : isMet ? 'met' : 'MISSED'
  console.log(`goal ${verdict.padEnd(10)} ${value?.toFixed(2) ?? '-'} ${what} (at ${at} ${goal})`)
  return isMet
}

/** A file of which the first part is noise and the rest a hole, and its chunked form, in a directory of that name. */
async function makeImage(dir: string, name: string, share: number): Promise<Image> {
  const root = join(dir, name)
  execFileSync('mkdir', ['-p', root, join(dir, 'state')])
  const file = join(root, 'image')
  const out = openSync(file, 'w')
  // Data and zeros in turn, 64 MiB of each where half is zeros.
  for (let at = 0; at < imageMib; at += 16) {
    if (share === 1 || Math.floor(at / 64) % 2 === 0) writeSync(out, randomBytes(16 * mib), 0, 16 * mib, at * mib)
  }
  closeSync(out)
  truncateSync(file, imageMib * mib)
  const sha512 = createHash('sha512')
  for await (const piece of createReadStream(file, { highWaterMark: mib })) sha512.update(piece)
  const { manifest, hashes } = await chunkImage({ from: file, to: dataFile(root), shown: name, algorithms: [] })
  const { manifestSha256 } = await finishForm(root, manifest, name)
  return { file, digests: { sha256: hashes.sha256 ?? '', sha512: sha512.digest('hex') }, manifestSha256 }
}

/** A loop device, as slow as was asked. */
function makeDisk(stack: AsyncDisposableStack, dir: string): string {
  const disk = join(dir, 'disk')
  writeFileSync(disk, '')
  truncateSync(disk, (imageMib + 64) * mib)
  const device = execFileSync('losetup', ['--find', '--show', disk]).toString().trim()
  stack.defer(() => void execFileSync('losetup', ['--detach', device]))
  if (diskRate > 0) {
    const limits = '/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device'
    const number = readFileSync(`/sys/class/block/${device.slice(5)}/dev`, 'utf8').trim()
    writeFileSync(limits, `${number} ${diskRate}`)
    stack.defer(() => writeFileSync(limits, `${number} 0`))
  }
  return device
}

async function startWriter(stack: AsyncDisposableStack, dir: string) {
  const outfile = join(dir, 'agent-writer.mjs')
  const entry = fileURLToPath(new URL('./agent-writer.ts', import.meta.url))
  await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'error' })
  // As the ramdisk's init starts the agent.
  const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: '262144' }
  const child = fork(outfile, { execArgv: ['--max-semi-space-size=1'], env })
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the writer ended with status ${code}`)))
  ended.catch(() => {})
  stack.defer(() => void child.kill())
  return async (job: WriterJob): Promise<WriterResult> => {
    child.send(job)
    const [answer] = await Promise.race([once(child, 'message'), ended])
    return answer as WriterResult // what agent-writer.ts sends
  }
}

function curlDd(url: string, device: string): void {
  shell(`set -o pipefail; curl -s '${url}' | dd of=${device} bs=1M iflag=fullblock conv=fsync status=none`)
}

function stock(url: string, device: string, { digests }: Image): void {
  const found = shell(`exec python3 - '${url}' '${device}'`, stockLoop).trim()
  assert.equal(found, digests.sha512)
}

function shell(command: string, input = ''): string {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', command], { input })
  assert.equal(status, 0, `${command.slice(0, 200)}: ${stderr}`)
  return stdout.toString()
}

function compare(file: string, device: string): void {
  execFileSync('cmp', ['-n', String(statSync(file).size), file, device])
}

function median(all: readonly number[]): number {
  return [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN
}
