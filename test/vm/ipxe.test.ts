/**
 * The boot scripts run by iPXE itself, in virtual machines on a network of this test: no ramdisk is booted; where a
 * kernel would be is a script that says so. Needs root and QEMU.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { entryScript, ipxeScripts } from '#boot/scripts.ts'
import { run } from '#lib/run.ts'

const namespace = `fb-i-${process.pid}`
const fixture = join(import.meta.dirname, '../../src/boot/netboot-fixture.ts')
const url = 'http://10.89.0.1:8090'
const known = '52:54:00:89:00:02'
const uuid = '11111111-2222-4333-8444-555555555555'
/** Emulated, on a busy machine. */
const limitMs = 120_000

let directory = ''
let http = ''
const requests: string[] = []
let server: ReturnType<typeof spawn>

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-ipxe-vm-'))
  http = join(directory, 'http')
  await run('ip', ['netns', 'add', namespace])
  const taps = ['t0', 't1'].flatMap(tap => [`tuntap add dev ${tap} mode tap`, `link set ${tap} master br0 up`])
  const lines = [
    'link set lo up',
    'link add br0 type bridge stp_state 0 forward_delay 0',
    'address add 10.89.0.1/24 dev br0',
    'link set br0 up',
    ...taps,
  ]
  await run('ip', ['-netns', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` })
  const overrides = {
    DEFAULT: { state_path: directory, my_ip: '10.89.0.1' },
    ferrite: {
      http_host: '10.89.0.1',
      http_port: 8090,
      dhcp_interface: 'br0',
      dhcp_range: '10.89.0.100,10.89.0.150,1h',
      dhcp_ignore_unknown: false,
    },
    deploy: { http_url: url, http_root: http },
    pxe: { tftp_root: join(directory, 'tftp') },
  }
  const args = ['netns', 'exec', namespace, process.execPath, fixture, JSON.stringify(overrides)]
  server = spawn('ip', args, { stdio: ['pipe', 'pipe', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    // Piped, above.
    createInterface({ input: server.stdout! }).on('line', line => {
      const said = JSON.parse(line)
      if ('ready' in said) resolve()
      if ('failed' in said) reject(new Error(said.failed))
      if ('http' in said) requests.push(`${said.http} ${said.status}`)
    })
  })
  await mkdir(join(http, uuid))
  const script = ipxeScripts.config(
    {
      kind: 'linux',
      label: 'deploy',
      what: 'the ramdisk',
      why: 'deploy',
      kernel: 'deploy_kernel',
      ramdisk: 'deploy_ramdisk',
      parameters: 'nofb',
      bootif: true,
    },
    { uuid, url: `${url}/${uuid}`, path: `/${uuid}`, timeoutMs: 0 },
  )
  await writeFile(join(http, uuid, 'config'), script)
  await symlink(`../${uuid}/config`, join(http, 'pxelinux.cfg/52-54-00-89-00-02'))
  await writeFile(join(http, uuid, 'deploy_ramdisk'), 'a ramdisk')
})

after(async () => {
  const ended = new Promise(resolve => server.once('close', resolve))
  server.stdin?.write('stop\n')
  await ended
  await run('ip', ['netns', 'delete', namespace])
  await rm(directory, { recursive: true, force: true })
})

/** A machine with these MAC addresses; its NICs' own iPXE boots the first. */
class Machine implements AsyncDisposable {
  console = ''
  readonly #process: ReturnType<typeof spawn>
  readonly #ended: Promise<unknown>

  constructor(macs: string[]) {
    const nics = macs.flatMap((mac, index) => [
      '-netdev',
      `tap,id=n${index},ifname=t${index},script=no,downscript=no`,
      '-device',
      `virtio-net-pci,netdev=n${index},mac=${mac}${index === 0 ? ',bootindex=1' : ''}`,
    ])
    const machine = '-accel tcg -M pc,graphics=off -m 256 -nodefaults -display none -serial stdio'.split(' ')
    const args = ['netns', 'exec', namespace, 'qemu-system-x86_64', ...machine, ...nics]
    this.#process = spawn('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#process.stdout?.on('data', (chunk: Buffer) => {
      this.console += chunk.toString('latin1')
    })
    this.#ended = new Promise(resolve => this.#process.once('close', resolve))
  }

  /** Waits for a text on the console, which breaks lines at 80 characters. */
  async shows(text: RegExp): Promise<void> {
    for (const deadline = Date.now() + limitMs; !text.test(this.console.replace(/\r?\n/g, '')); await sleep(100)) {
      if (Date.now() > deadline) throw new Error(`the console never showed ${text}:\n${this.console.slice(-2000)}`)
    }
  }

  async [Symbol.asyncDispose]() {
    this.#process.kill('SIGKILL')
    await this.#ended
  }
}

test('the script is found by the MAC address of any NIC, and a kernel that comes late is waited for', async () => {
  requests.length = 0
  await using machine = new Machine(['52:54:00:89:00:01', known])
  await machine.shows(/could not be loaded; trying again in 1 s/)
  await machine.shows(/trying again in 2 s/)
  await writeFile(
    join(http, uuid, 'deploy_kernel'),
    // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE replaces it, not we
    '#!ipxe\necho THE-KERNEL of the NIC ${netX/mac}, ${mac}\nsleep 999\n',
  )
  // BOOTIF is the NIC that has the network, whichever one the script was found by.
  await machine.shows(/THE-KERNEL of the NIC 52:54:00:89:00:01, 52:54:00:89:00:01/)
  assert.deepEqual(requests.slice(0, 4), [
    '/boot.ipxe 200',
    '/pxelinux.cfg/52-54-00-89-00-01 404',
    '/pxelinux.cfg/52-54-00-89-00-02 200',
    `/${uuid}/deploy_kernel 404`,
  ])
  assert.deepEqual(requests.slice(-2), [`/${uuid}/deploy_kernel 200`, `/${uuid}/deploy_ramdisk 200`])
})

test('a machine that nothing is there for goes on with its next boot device', async () => {
  requests.length = 0
  await using machine = new Machine(['52:54:00:89:00:07'])
  await machine.shows(/no node is to boot this machine from the network/)
  await machine.shows(/first MAC address 52:54:00:89:00:07/)
  await machine.shows(/No bootable device/)
  assert.deepEqual(requests, ['/boot.ipxe 200', '/pxelinux.cfg/52-54-00-89-00-07 404', '/boot.ipxe 200'])
})

test('a server that is away is waited for', async () => {
  requests.length = 0
  // Its script comes from the server that lives, and names one that does not.
  await writeFile(join(http, 'boot.ipxe'), entryScript({ url: 'http://10.89.0.1:9', subdir: 'x', fallback: null }))
  await using machine = new Machine(['52:54:00:89:00:07'])
  await machine.shows(/http:\/\/10\.89\.0\.1:9 does not answer; trying again in 1 s/)
  await machine.shows(/trying again in 2 s/)
})
