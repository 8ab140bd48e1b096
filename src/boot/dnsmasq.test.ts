/** dnsmasq as Ferrite runs it, asked by machines over a cable: two network namespaces and a veth pair. Needs root. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import type { Port } from '#db/ports.ts'
import { run } from '#lib/run.ts'
import { externally, macs, world } from './boot-world.ts'
import { forgetNode, tellDhcp } from './dhcp.ts'

const server = `fb-s-${process.pid}`
const client = `fb-c-${process.pid}`
const fixture = join(import.meta.dirname, 'netboot-fixture.ts')
const probe = join(import.meta.dirname, 'netboot-probe.ts')
const probe6 = join(import.meta.dirname, 'netboot-probe6.ts')
const isRoot = process.getuid?.() === 0
const skip = isRoot ? false : 'needs root for network namespaces'
let directory = ''

before(async () => {
  if (!isRoot) return
  directory = await mkdtemp(join(tmpdir(), 'ferrite-dnsmasq-'))
  const lines = [
    `netns add ${server}`,
    `netns add ${client}`,
    `link add v0 netns ${server} type veth peer name v0 netns ${client}`,
  ]
  await run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` })
  await run('ip', ['-netns', server, '-batch', '-'], {
    input: 'link set lo up\naddress add 10.88.0.1/24 dev v0\nlink set v0 up\n',
  })
  // The machine has an address of its own for TFTP, which needs one; its DHCP messages come from 0.0.0.0 all the same.
  await run('ip', ['-netns', client, '-batch', '-'], {
    input: 'link set lo up\naddress add 10.88.0.9/24 dev v0\nlink set v0 up\nroute add 255.255.255.255/32 dev v0\n',
  })
})

after(async () => {
  if (!isRoot) return
  for (const name of [server, client]) await run('ip', ['netns', 'delete', name])
  await rm(directory, { recursive: true, force: true })
})

/** The boot services in the server's namespace. */
class Served implements AsyncDisposable {
  readonly said: Record<string, unknown>[] = []
  readonly child: ChildProcess
  #wake: () => void = () => {}

  constructor(ferrite: Record<string, unknown>, state = directory, pxe: Record<string, unknown> = {}) {
    const overrides = {
      DEFAULT: { state_path: state, my_ip: '10.88.0.1' },
      ferrite: {
        http_host: '10.88.0.1',
        http_port: 8090,
        dhcp_interface: 'v0',
        dhcp_range: '10.88.0.100,10.88.0.150,1h',
        dhcp_ignore_unknown: false,
        ...ferrite,
      },
      deploy: { http_url: 'http://10.88.0.1:8090', http_root: join(state, 'http') },
      pxe: { tftp_root: join(state, 'tftp'), ...pxe },
    }
    const args = ['netns', 'exec', server, process.execPath, fixture, JSON.stringify(overrides)]
    this.child = spawn('ip', args, { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.child.stdout! }).on('line', line => {
      // piped, two lines above
      this.said.push(JSON.parse(line))
      this.#wake()
    })
  }

  /** Waits for a line with this key, from the `from`-th on. */
  async until(matches: (line: Record<string, unknown>) => boolean, limitMs = 8000): Promise<Record<string, unknown>> {
    const deadline = Date.now() + limitMs
    for (;;) {
      const found = this.said.find(matches)
      if (found) return found
      if (Date.now() > deadline) throw new Error(`waited in vain; said so far: ${JSON.stringify(this.said)}`)
      await new Promise<void>(resolve => {
        this.#wake = resolve
        setTimeout(resolve, 200)
      })
    }
  }

  ready() {
    return this.until(line => 'ready' in line)
  }

  tell(line: string): void {
    this.child.stdin?.write(`${line}\n`)
  }

  async [Symbol.asyncDispose]() {
    const ended = new Promise(resolve => this.child.once('close', resolve))
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.tell('stop')
    await ended
  }
}

async function machine(...args: string[]) {
  const { stdout } = await run('ip', ['netns', 'exec', client, process.execPath, probe, ...args])
  return JSON.parse(stdout)
}

const pidOf = async () => Number(await readFile(join(directory, 'dnsmasq/dnsmasq.pid'), 'utf8').catch(() => ''))
/** A process that ended and was not reaped yet has no command line. */
const lives = async (pid: number) => (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== ''

test('each kind of machine is told its own boot file, and gets it', { skip }, async () => {
  await using served = new Served({})
  await served.ready()
  const cases = [
    ['BIOS', ['--arch=0'], 'undionly.kpxe'],
    ['UEFI', ['--arch=7', '--vendor-class=PXEClient:Arch:00007:UNDI:003016'], 'snponly.efi'],
    ['UEFI, as some number it', ['--arch=9'], 'snponly.efi'],
    [
      'UEFI over HTTP',
      ['--arch=16', '--vendor-class=HTTPClient:Arch:00016:UNDI:003001'],
      'http://10.88.0.1:8090/snponly.efi',
    ],
    ['iPXE on BIOS', ['--arch=0', '--ipxe'], 'http://10.88.0.1:8090/boot.ipxe'],
    ['iPXE on UEFI', ['--arch=7', '--ipxe'], 'http://10.88.0.1:8090/boot.ipxe'],
  ] as const
  const replies = await Promise.all([machine('--mac=52:54:00:88:00:10', ...cases[0][1])])
  for (const [index, [name, args, file]] of cases.entries()) {
    const reply = index === 0 ? replies[0] : await machine(`--mac=52:54:00:88:00:1${index}`, ...args)
    assert.equal(reply.file, file, name)
    assert.match(reply.ip, /^10\.88\.0\.1[0-5]\d$/)
    assert.equal(reply.server, '10.88.0.1')
    // No router and no name server are announced: dnsmasq is neither.
    assert.equal(reply.options[3], undefined)
    assert.equal(reply.options[6], undefined)
    if (name === 'UEFI over HTTP') assert.equal(Buffer.from(reply.options[60], 'hex').toString(), 'HTTPClient')
    if (name.startsWith('iPXE')) assert.equal(reply.options[175], 'b00101ff')
  }

  const seen = await served.until(line => line.kind === 'dhcp' && line.message === 'ack')
  assert.deepEqual(
    { ...seen, ip: null },
    {
      kind: 'dhcp',
      message: 'ack',
      interface: 'v0',
      mac: '52:54:00:88:00:10',
      ip: null,
      vendorClass: 'PXEClient:Arch:00000:UNDI:002001',
      detail: null,
    },
  )

  const { size } = await stat(join(directory, 'tftp/undionly.kpxe'))
  assert.deepEqual(await machine('--tftp=undionly.kpxe', '--server=10.88.0.1'), { bytes: size, error: null })
  const sent = await served.until(line => line.kind === 'tftp' && line.outcome === 'sent')
  assert.equal(sent.ip, '10.88.0.9')
  assert.match((await machine('--tftp=no-such-loader', '--server=10.88.0.1')).error, /not found/)
  await served.until(line => line.kind === 'tftp' && line.outcome === 'not found')

  const { stdout } = await run('ip', [
    'netns',
    'exec',
    client,
    process.execPath,
    '-e',
    "fetch('http://10.88.0.1:8090/boot.ipxe').then(r => r.text()).then(t => process.stdout.write(t))",
  ])
  assert.match(stdout, /^#!ipxe\n/)
})

test('the boot interface of its node says what a machine is told', { skip }, async () => {
  await using served = new Served({})
  await served.ready()
  const ways = ['pxe', 'http', 'http-ipxe', 'redfish-virtual-media']
  served.tell(`known ${ways.map((way, index) => `52:54:00:88:05:0${index}=${way}`).join(' ')}`)
  await served.until(line => line.known === ways.length)
  const bios = ['--arch=0']
  const uefi = ['--arch=7', '--vendor-class=PXEClient:Arch:00007:UNDI:003016']
  const http = ['--arch=16', '--vendor-class=HTTPClient:Arch:00016:UNDI:003001']
  const root = 'http://10.88.0.1:8090'
  const cases = [
    ['pxe', bios, 'pxelinux.0'],
    ['pxe', [...bios, '--ipxe'], 'pxelinux.0'],
    ['pxe', uefi, 'bootx64.efi'],
    ['http', uefi, ''],
    ['http', http, `${root}/bootx64.efi`],
    ['http-ipxe', uefi, ''],
    ['http-ipxe', http, `${root}/snponly.efi`],
    ['http-ipxe', [...http, '--ipxe'], `${root}/boot.ipxe`],
    ['redfish-virtual-media', uefi, 'snponly.efi'],
  ] as const
  for (const [way, args, file] of cases) {
    const reply = await machine(`--mac=52:54:00:88:05:0${ways.indexOf(way)}`, ...args)
    assert.equal(reply.file, file, `${way} ${args.join(' ')}`)
    if (file.startsWith('http') && !args.some(each => each === '--ipxe')) {
      assert.equal(Buffer.from(reply.options[60], 'hex').toString(), 'HTTPClient')
    }
  }
})

test('beside another DHCP server it hands out no address and says what to boot', { skip }, async () => {
  const other = `fb-o-${process.pid}`
  await run('ip', ['netns', 'add', other])
  await run('ip', ['link', 'add', 'w0', 'netns', client, 'type', 'veth', 'peer', 'name', 'w0', 'netns', other])
  const inOther = 'address add 10.88.0.2/24 dev w0\nlink set w0 up\n'
  await run('ip', ['-netns', other, '-batch', '-'], { input: inOther })
  // The machine's cable ends where both servers are.
  const joined = [
    'link add br0 type bridge stp_state 0 forward_delay 0',
    'address delete 10.88.0.9/24 dev v0',
    'link set v0 master br0',
    'link set w0 up master br0',
    'address add 10.88.0.9/24 dev br0',
    'link set br0 up',
    'route add 255.255.255.255/32 dev br0',
  ]
  await run('ip', ['-netns', client, '-batch', '-'], { input: `${joined.join('\n')}\n` })
  const plain = ['--keep-in-foreground', '--port=0', '--conf-file=/dev/null', '--interface=w0', '--no-ping']
  const range = ['--dhcp-range=10.88.0.200,10.88.0.210,1h', `--dhcp-leasefile=${join(directory, 'other-leases')}`]
  const authority = spawn('ip', ['netns', 'exec', other, 'dnsmasq', ...plain, ...range, '--user=root'], {
    stdio: 'ignore',
  })
  try {
    await using served = new Served({ dhcp_range: '10.88.0.0,proxy' }, join(directory, 'proxy'))
    await served.ready()
    const url = 'http://10.88.0.1:8090'
    const cases = [
      [['--arch=0'], 'undionly.kpxe'],
      [['--arch=7', '--vendor-class=PXEClient:Arch:00007:UNDI:003016'], 'snponly.efi'],
      [['--arch=0', '--ipxe'], `${url}/boot.ipxe`],
      [['--arch=16', '--vendor-class=HTTPClient:Arch:00016:UNDI:003001'], `${url}/snponly.efi`],
    ] as const
    for (const [args, file] of cases) {
      const found = await machine('--mac=52:54:00:88:06:01', '--proxy=10.88.0.9', '--limit=600', ...args)
      assert.deepEqual(found.servers, ['10.88.0.1 proxy', '10.88.0.2 address'], args.join(' '))
      assert.equal(found.boot?.file, file, args.join(' '))
    }
  } finally {
    authority.kill('SIGKILL')
    await run('ip', ['-netns', client, 'link', 'delete', 'br0'])
    await run('ip', ['netns', 'delete', other])
    const again = 'address add 10.88.0.9/24 dev v0\nroute add 255.255.255.255/32 dev v0\n'
    await run('ip', ['-netns', client, '-batch', '-'], { input: again })
  }
})

test('in a network of IPv6 it hands out addresses, and URLs of what to boot', { skip }, async () => {
  const address = (name: string, cidr: string) =>
    run('ip', ['-netns', name, 'address', 'add', cidr, 'dev', 'v0', 'nodad'])
  await address(server, 'fd00:88::1/64')
  await using served = new Served({ dhcp_range: 'fd00:88::100,fd00:88::1ff,64,1h' }, join(directory, 'six'), {
    tftp_server: 'fd00:88::1',
  })
  await served.ready()
  const ask = async (...args: string[]) => {
    const { stdout } = await run('ip', ['netns', 'exec', client, process.execPath, probe6, ...args])
    return JSON.parse(stdout)
  }
  const url = 'http://10.88.0.1:8090'
  const cases = [
    [['--arch=7'], 'tftp://[fd00:88::1]/snponly.efi'],
    [['--arch=0'], 'tftp://[fd00:88::1]/undionly.kpxe'],
    [['--arch=7', '--ipxe'], `${url}/boot.ipxe`],
  ] as const
  for (const [args, file] of cases) {
    const reply = await ask(...args)
    assert.equal(reply?.type, 2, 'an offer')
    assert.equal(reply.file, file, args.join(' '))
  }
})

test("an operator's dnsmasq takes up what it is told of a node, and drops it", { skip }, async () => {
  await using w = await world({ dhcp: externally(join(directory, 'opts'), join(directory, 'hosts')) })
  for (const name of ['opts', 'hosts']) await mkdir(join(directory, name))
  const options = [
    '--keep-in-foreground',
    '--port=0',
    '--conf-file=/dev/null',
    '--interface=v0',
    '--no-ping',
    '--user=root',
  ]
  const range = ['--dhcp-range=10.88.0.200,10.88.0.210,1h', `--dhcp-leasefile=${join(directory, 'its-leases')}`]
  const told = [
    `--dhcp-optsdir=${join(directory, 'opts')}`,
    `--dhcp-hostsdir=${join(directory, 'hosts')}`,
    '--dhcp-match=set:ipxe,175',
  ]
  const args = ['netns', 'exec', server, 'dnsmasq', ...options, ...range, ...told]
  const child = spawn('ip', args, { stdio: 'ignore' })
  const ended = new Promise(resolve => child.once('close', resolve))
  const [mac = ''] = macs
  /** Until dnsmasq has read what was written. */
  const answer = async (is: (reply: { file: string } | null) => boolean, ...more: string[]) => {
    for (const deadline = Date.now() + 60_000; ; ) {
      const reply = await machine(`--mac=${mac}`, '--limit=700', ...more)
      if (is(reply)) return reply
      assert.ok(Date.now() < deadline, `waited in vain; the last answer: ${JSON.stringify(reply)}`)
    }
  }
  const port = { address: mac, extra: {} } as unknown as Port // nothing else is read
  try {
    await answer(reply => reply?.file === '')
    await tellDhcp(w.ctx, 'ipxe', [port])
    const reply = await answer(found => found?.file === 'snponly.efi')
    assert.equal(reply.nextServer, '10.88.0.1')
    await answer(found => found?.file === 'http://192.0.2.1:8090/boot.ipxe', '--ipxe')
    await tellDhcp(w.ctx, 'http', [port])
    const http = ['--arch=16', '--vendor-class=HTTPClient:Arch:00016:UNDI:003001']
    const url = await answer(found => found?.file === 'http://192.0.2.1:8090/bootx64.efi', ...http)
    assert.equal(Buffer.from(url.options[60] ?? '', 'hex').toString(), 'HTTPClient')
    await forgetNode(w.ctx.config, w.ctx.node.uuid)
    await answer(found => found === null)
  } finally {
    child.kill('SIGTERM')
    await ended
  }
})

test('machines with a way of their own come and go while others boot', { skip }, async () => {
  await using served = new Served({ dhcp_ignore_unknown: true })
  await served.ready()
  for (let count = 1; count <= 3; count++) {
    const macs = Array.from({ length: count }, (_, index) => `52:54:00:88:06:0${index}`)
    served.tell(`known ${macs.map(mac => `${mac}=pxe`).join(' ')}`)
    await served.until(line => line.known === count)
    // Whoever asked before is linked to what is read anew.
    for (const mac of macs) assert.ok(await machine(`--mac=${mac}`, '--arch=0'), `${mac} of ${count} got an answer`)
  }
  assert.deepEqual(
    served.said.filter(line => 'error' in line),
    [],
  )
})

test('strangers are not answered; a machine that becomes known is, one that is removed is not', { skip }, async () => {
  await using served = new Served({ dhcp_ignore_unknown: true })
  await served.ready()
  assert.equal(await machine('--mac=52:54:00:88:01:01', '--limit=700'), null)
  const ignored = await served.until(line => line.mac === '52:54:00:88:01:01')
  assert.equal(ignored.detail, 'ignored')
  served.tell('known 52:54:00:88:01:01 52:54:00:88:01:02')
  await served.until(line => line.known === 2)
  assert.match((await machine('--mac=52:54:00:88:01:01')).ip, /^10\.88\.0\./)
  served.tell('known 52:54:00:88:01:02')
  await served.until(line => line.known === 1)
  assert.equal(await machine('--mac=52:54:00:88:01:01', '--limit=700'), null)
})

test('it is started again when it dies, and ended with the service', { skip }, async () => {
  const served = new Served({})
  await served.ready()
  const first = await pidOf()
  process.kill(first, 'SIGKILL')
  await served.until(line => String(line.error).includes('ended by itself'))
  for (const deadline = Date.now() + 8000; ; ) {
    const reply = await machine('--mac=52:54:00:88:02:01', '--limit=500')
    if (reply !== null) break
    assert.ok(Date.now() < deadline, 'no answer after the restart')
  }
  const second = await pidOf()
  assert.notEqual(second, first)
  await served[Symbol.asyncDispose]()
  assert.equal(await lives(second), false)
})

async function soon(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 5000; !(await isSo()); ) assert.ok(Date.now() < deadline, what)
}

/** Starts the services and kills them. @returns the pid of their dnsmasq */
async function killedWith(): Promise<number> {
  const killed = new Served({})
  await killed.ready()
  const pid = await pidOf()
  const ended = new Promise(resolve => killed.child.once('close', resolve))
  // "ip netns exec" becomes the program, so this is the service itself.
  killed.child.kill('SIGKILL')
  await ended
  return pid
}

test('it ends with a service that is killed', { skip }, async () => {
  const first = await killedWith()
  await soon('dnsmasq ends, for nobody serves what it tells of', async () => !(await lives(first)))
})

test('a leftover of a killed service is ended; one of a living service is respected', { skip }, async () => {
  const first = await killedWith()
  await soon('dnsmasq ends', async () => !(await lives(first)))
  // One that was out of its parent's reach: the same program with the same files.
  const files = ['conf-file=dnsmasq.conf', 'pid-file=dnsmasq.pid'].map(option => {
    const [name = '', file = ''] = option.split('=')
    return `--${name}=${join(directory, 'dnsmasq', file)}`
  })
  spawn('ip', ['netns', 'exec', server, 'dnsmasq', '--keep-in-foreground', ...files], { stdio: 'ignore' })
  await soon('another runs', async () => (await pidOf()) !== first && (await lives(await pidOf())))
  const leftover = await pidOf()

  await using next = new Served({})
  await next.ready()
  assert.equal(await lives(leftover), false)
  assert.notEqual(await pidOf(), leftover)

  const twice = new Served({ http_port: 8091 })
  const refusal = await twice.until(line => 'failed' in line)
  assert.match(String(refusal.failed), /Cannot run dnsmasq: process \d+ runs one with the same state/)
  assert.match((await machine('--mac=52:54:00:88:03:01')).ip, /^10\.88\.0\./)
})

test('settings that cannot work are refused with what is there', { skip }, async () => {
  const cases = [
    [{ dhcp_interface: 'eth7' }, /dhcp_interface is eth7; expected an interface of this host, found lo, v0/],
    [{ dhcp_range: '10.99.0.1,10.99.0.9' }, /expected a range in the network of v0, which has 10\.88\.0\.1\/24/],
    [{ dhcp_interface: null }, /\[ferrite\] dhcp_interface is not set/],
    [{ dnsmasq_binary: '/nowhere/dnsmasq' }, /there is no program \/nowhere\/dnsmasq/],
  ] as const
  for (const [settings, message] of cases) {
    await using served = new Served(settings, join(directory, 'other'))
    const { failed } = await served.until(line => 'failed' in line)
    assert.match(String(failed), message)
  }
})
