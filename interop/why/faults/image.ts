/** What goes wrong once the agent works: the image and its server, the disk, the config drive, the agent's end. */
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { run } from '#lib/run.ts'
import { selfSigned } from '#lib/x509.ts'
import { type FakeImageServer, startFakeImageServer } from '../../../src/images/fake-image-server.ts'
import { emptyQcow2, instanceInfo, rawImage } from '../../../test/faults/images.ts'
import type { Bench, Enrolment } from '../bench.ts'
import { serviceAddress } from '../cable.ts'
import type { BenchFault, Told } from '../fault-case.ts'
import type { NetMachine } from '../machine.ts'

const mib = 2 ** 20
/** The agent fetches the image by itself, so that it meets what is wrong with the server. */
const fetchedByAgent = { agent: { command_timeout: 5, image_download_source: 'http' } }
let cachedImage: Buffer | undefined
const image = () => {
  cachedImage ??= rawImage({ sizeMib: 32, label: 'dos' })
  return cachedImage
}

let cachedHuge: Buffer | undefined
/** Of 64 GiB, once it lies on a disk. */
const hugeImage = () => {
  cachedHuge ??= emptyQcow2(64 * 1024 * mib)
  return cachedHuge
}

type Info = Record<string, unknown>

/** Found out when the machine is deployed. @param prepare returns the whole instance_info */
function unwritable(
  fault: Told,
  prepare: (server: FakeImageServer, bench: Bench) => Promise<Info> | Info,
  more: Enrolment & { asked?: object } = {},
): BenchFault {
  return {
    config: fetchedByAgent,
    ...fault,
    on: 'bench',
    async explained(bench) {
      const { machine } = await ready(bench, prepare, more)
      // What can be told at once is refused, and nothing is begun: then the node at rest is asked about.
      await bench.ask(machine, 'active', more.asked).catch(error => console.log(`   refused: ${String(error)}`))
      return (await bench.rests(machine)).why
    },
  }
}

/** Something happens in the middle of a slow write. */
function interrupted(
  fault: Told,
  happens: (machine: NetMachine, bench: Bench) => Promise<unknown> | unknown,
): BenchFault {
  return {
    config: fetchedByAgent,
    ...fault,
    on: 'bench',
    async explained(bench) {
      const { machine } = await ready(bench, server => instanceInfo(`${server.url}/slow/image`, image()))
      await bench.ask(machine, 'active')
      await bench.writes(machine, 2 * mib)
      await happens(machine, bench)
      return (await bench.rests(machine)).why
    },
  }
}

async function ready(
  bench: Bench,
  prepare: (server: FakeImageServer, bench: Bench) => Promise<Info> | Info,
  enrolment: Enrolment = {},
): Promise<{ machine: NetMachine }> {
  const server = await startFakeImageServer(
    { image: image(), huge: hugeImage(), page: Buffer.from('<html>Not found</html>\n'.repeat(99)) },
    { host: serviceAddress },
  )
  bench.around.use(server)
  const machine = await bench.available(enrolment)
  await bench.set(machine, '/instance_info', await prepare(server, bench))
  return { machine }
}

const plain = (server: FakeImageServer) => instanceInfo(`${server.url}/plain/image`, image())

export default [
  unwritable(
    { name: 'image-missing', broken: 'there is no such image (HTTP 404)', cause: 'image-unreachable', names: /404/ },
    server => instanceInfo(`${server.url}/plain/none`, image()),
  ),
  unwritable(
    {
      name: 'image-vanishes',
      broken: 'the image is gone when the agent fetches it',
      cause: 'image-unreachable',
      names: /404/,
    },
    server => instanceInfo(`${server.url}/vanish/image`, image()),
  ),
  unwritable(
    {
      name: 'image-server-down',
      broken: 'nobody listens at the image server',
      cause: 'image-unreachable',
      names: /nothing listens|refused/,
    },
    () => instanceInfo(`http://${serviceAddress}:4/image`, image()),
  ),
  unwritable(
    {
      name: 'image-host-unknown',
      broken: 'nobody knows the name of the image server',
      cause: 'name-not-resolved',
      names: /no-such-host/,
    },
    () => instanceInfo('http://no-such-host.invalid/image', image()),
  ),
  unwritable(
    {
      name: 'image-cut',
      broken: 'the image server cuts each transfer',
      cause: 'image-unreachable',
      names: /short|cut|transfer/,
    },
    server => instanceInfo(`${server.url}/cut/image`, image()),
  ),
  unwritable(
    {
      name: 'image-checksum',
      broken: 'the image is not the one of the checksum',
      cause: 'image-checksum-mismatch',
      names: /sha256|checksum/i,
    },
    server => ({ ...plain(server), image_os_hash_value: 'f'.repeat(64) }),
  ),
  unwritable(
    {
      name: 'image-format',
      broken: 'a web page where the image should be',
      cause: 'image-refused',
      names: /format|raw|qcow2/,
    },
    server => instanceInfo(`${server.url}/plain/page`, Buffer.from('<html>Not found</html>\n'.repeat(99)), 'qcow2'),
  ),
  unwritable(
    {
      name: 'image-tls',
      broken: "the agent does not trust the image server's certificate",
      cause: 'image-server-not-trusted',
      names: /certificate/,
    },
    async (_, bench) => instanceInfo(`${await secureServer(bench)}/image`, image()),
  ),
  unwritable(
    {
      name: 'proxy-dead',
      broken: 'the proxy of driver_info is down',
      cause: 'proxy-unreachable',
      names: /image_http_proxy/,
    },
    plain,
    { driverInfo: { image_http_proxy: `http://${serviceAddress}:5` } },
  ),
  unwritable(
    {
      name: 'disk-too-small',
      broken: 'the disk is smaller than the image',
      cause: 'disk-too-small',
      names: /at least 4 GiB/,
    },
    plain,
    { diskMib: 16 },
  ),
  unwritable(
    {
      name: 'image-too-large',
      broken: 'the image is larger than the disk',
      cause: 'disk-too-small',
      names: /the disk only \d+|is larger than/,
    },
    server => instanceInfo(`${server.url}/plain/huge`, hugeImage(), 'qcow2'),
  ),
  unwritable(
    { name: 'disk-none', broken: 'the machine has no disk', cause: 'no-root-device', names: /disk|device/ },
    plain,
    { diskMib: 0 },
  ),
  unwritable(
    {
      name: 'root-hint',
      broken: 'no disk fits the hint for the root device',
      cause: 'no-root-device',
      names: /no-such-serial/,
    },
    plain,
    { node: { properties: { root_device: { serial: 'no-such-serial' } } } },
  ),
  {
    name: 'disk-without-room',
    broken: 'the storage behind the disk is full in mid-image',
    on: 'bench',
    config: fetchedByAgent,
    cause: 'disk-too-small',
    names: /ENOSPC|no space/i,
    async explained(bench) {
      // A disk whose content has no room fails like one with broken sectors.
      const folder = join(bench.directory, 'little-room')
      await mkdir(folder, { recursive: true })
      await run('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', folder])
      bench.around.defer(() => run('umount', ['--lazy', folder]).then(() => undefined))
      const { machine } = await ready(bench, plain, { diskFolder: folder })
      return bench.failure(machine, 'active')
    },
  },
  unwritable(
    {
      name: 'config-drive',
      broken: 'the config drive is not what it should be',
      cause: 'config-drive-broken',
      names: /config ?drive/i,
    },
    plain,
    { asked: { configdrive: gzipSync(randomBytes(4096)).subarray(0, 2000).toString('base64') } },
  ),
  unwritable(
    {
      name: 'config-drive-url',
      broken: "the config drive's server is down",
      cause: 'config-drive-broken',
      names: /config ?drive/i,
    },
    plain,
    { asked: { configdrive: `http://${serviceAddress}:6/drive` } },
  ),
  {
    name: 'instance-unbootable',
    broken: 'what was written to the disk cannot be booted',
    on: 'bench',
    config: fetchedByAgent,
    cause: 'instance-not-booted',
    names: /boot mode/,
    async explained(bench) {
      const { machine } = await ready(bench, plain)
      machine.habits.disk = 'unbootable'
      await bench.reach(machine, 'active', 'active')
      await bench.until('its firmware asks', async () => (await bench.why(machine)).cause !== 'fine')
      return bench.why(machine)
    },
  },
  unwritable(
    { name: 'step-fails', broken: 'a step of the request fails', cause: 'step-failed', names: /raid|step/i },
    plain,
    {
      asked: {
        deploy_steps: [
          {
            interface: 'deploy',
            step: 'inject_files',
            priority: 70,
            args: { files: [{ path: '/etc/motd', partition: 9, content: 'aGk=' }] },
          },
        ],
      },
    },
  ),
  interrupted(
    {
      name: 'agent-dies',
      broken: 'the agent dies in mid-write, and nothing runs there any more',
      cause: 'agent-lost',
      names: /write_image/,
    },
    machine => machine.crashAgent({ respawns: false }),
  ),
  interrupted(
    {
      name: 'agent-restarts',
      broken: 'the agent crashes in mid-write, and is started again',
      cause: 'agent-restarted',
      names: /restarted/,
    },
    machine => machine.crashAgent({ respawns: true }),
  ),
  interrupted(
    { name: 'network-cut', broken: 'the cable is pulled in mid-write', cause: 'agent-lost', names: /cable|network/ },
    machine => machine.cable.pull(),
  ),
  interrupted(
    { name: 'power-cut', broken: 'the machine loses power in mid-write', cause: 'power-lost', names: /"power off"/ },
    machine => machine.hardware.switchOff(),
  ),
] satisfies BenchFault[]

/** HTTPS with a certificate that nobody knows. @returns its URL */
async function secureServer(bench: Bench): Promise<string> {
  const notBefore = new Date(Date.now() - 3600_000)
  const notAfter = new Date(Date.now() + 3600_000)
  const { certPem, keyPem } = selfSigned({ commonName: 'images', ipAddresses: [serviceAddress], notBefore, notAfter })
  const server = createServer({ cert: certPem, key: keyPem }, (_, response) => response.end(image()))
  await new Promise<void>(resolve => server.listen(0, serviceAddress, resolve))
  bench.around.defer(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return `https://${serviceAddress}:${(server.address() as AddressInfo).port}` // it listens on TCP
}
