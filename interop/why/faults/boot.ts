/** What goes wrong between power-on and the agent's first word: cable, DHCP, loader, scripts, files, kernel. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { setBlocked } from '#lab/network.ts'
import { run } from '#lib/run.ts'
import type { Bench } from '../bench.ts'
import { layCable, netmask, serviceAddress } from '../cable.ts'
import type { BenchFault } from '../fault-case.ts'
import type { Habits } from '../firmware.ts'
import { inject } from '../inject.ts'
import type { NetMachine } from '../machine.ts'
import { anyImage, undeployable } from '../undeployable.ts'

const habit =
  (habits: Partial<Habits>) =>
  (machine: NetMachine): void => {
    Object.assign(machine.habits, habits)
  }

/** Does something to the files of a node as soon as they are published, before the machine can ask for them. */
const withFiles =
  (change: (folder: string, bench: Bench) => Promise<unknown>) =>
  async (machine: NetMachine, bench: Bench): Promise<void> => {
    const { uuid } = await bench.node(machine)
    machine.atPowerOn = () => change(bench.published(String(uuid)), bench)
  }

/** As `withFiles`, where nothing runs that was changed. */
const unbootable =
  (change: (folder: string) => Promise<unknown>) =>
  (machine: NetMachine, bench: Bench): Promise<void> => {
    machine.habits.kernel = 'silent'
    return withFiles(change)(machine, bench)
  }

const strange = '52:54:00:fb:ff:01'
/** Of a card that is in no machine; each node has its own. */
let others = 1
const unused = () => `52:54:00:fb:ff:${String(++others).padStart(2, '0')}`

export default [
  undeployable(
    { name: 'cable-pulled', broken: 'the network cable is pulled', cause: 'link-down', names: /cable|switch port/ },
    machine => machine.pullCable(),
  ),
  undeployable(
    {
      name: 'cable-pulled-unseen',
      broken: 'no cable, and the BMC (IPMI) does not know',
      cause: 'no-dhcp',
      names: /cable/,
    },
    machine => machine.cable.pull(),
    { driver: 'ipmi' },
  ),
  undeployable(
    {
      name: 'boot-order',
      broken: 'the BMC forgets the boot device, and the disk boots',
      cause: 'wrong-boot-device',
      names: /boot device/,
    },
    machine => inject(machine, 'bmc-ignore-boot'),
  ),
  undeployable(
    {
      name: 'dhcp-mute',
      broken: 'answers of DHCP get lost on their way',
      cause: 'dhcp-offer-lost',
      names: /do not reach the machine/,
    },
    async (machine, bench) => {
      await inject(machine, 'dhcp-mute')
      bench.around.defer(() => setBlocked('dhcp', false))
    },
  ),
  undeployable(
    {
      name: 'tftp-stops',
      broken: 'requests for files by TFTP get lost on their way',
      cause: 'no-boot-file-asked',
      names: /TFTP is blocked/,
    },
    async (machine, bench) => {
      await inject(machine, 'tftp-stop')
      bench.around.defer(() => setBlocked('tftp', false))
    },
  ),
  undeployable(
    {
      name: 'dhcp-hangs',
      broken: 'dnsmasq hangs',
      // It is asked twice before it counts as hung.
      config: { conductor: { deploy_callback_timeout: 75 } },
      cause: 'dhcp-server-down',
      names: /dnsmasq/,
    },
    async (_, bench) => {
      // One that never answered counts as one that cannot be asked.
      await sleep(20_000)
      const pid = Number(await bench.file('state/dnsmasq/dnsmasq.pid'))
      process.kill(pid, 'SIGSTOP')
      bench.around.defer(() => bench.stopService())
      bench.around.defer(() => {
        if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGCONT')
      })
    },
  ),
  undeployable(
    {
      name: 'dhcp-dead',
      broken: 'dnsmasq dies, and cannot be started again',
      cause: 'dhcp-server-down',
      names: /dnsmasq/,
    },
    async (_, bench) => {
      const pid = Number(await bench.file('state/dnsmasq/dnsmasq.pid'))
      await writeFile(join(bench.directory, 'state/dnsmasq/dnsmasq.conf'), 'this-is-no-option\n')
      bench.around.defer(() => bench.stopService())
      process.kill(pid, 'SIGKILL')
      await sleep(1500)
    },
  ),
  undeployable(
    {
      name: 'dhcp-range-used-up',
      broken: 'no address is left in the DHCP range',
      cause: 'dhcp-refused',
      names: /no address available/,
      config: { ferrite: { dhcp_range: '10.77.0.100,10.77.0.100,255.255.255.0,10m', dhcp_ignore_unknown: false } },
    },
    async (_, bench) => {
      const other = await layCable('other', strange)
      bench.around.defer(() => other.remove())
      await lease(other.namespace, strange)
    },
  ),
  undeployable(
    {
      name: 'unknown-mac',
      broken: "the port has another machine's MAC address",
      cause: 'wrong-port-address',
      names: /52:54:00:fb:00/,
    },
    () => {},
    { ports: [{ address: unused() }] },
  ),
  undeployable(
    {
      name: 'unknown-mac-ipmi',
      broken: 'a wrong MAC address, and a BMC (IPMI) that knows none',
      cause: 'unknown-mac-asked',
      names: /52:54:00:fb:00/,
    },
    () => {},
    { driver: 'ipmi', ports: [{ address: unused() }] },
  ),
  {
    name: 'port-not-enabled',
    broken: 'the port that boots has pxe_enabled false',
    on: 'bench',
    cause: 'port-not-enabled',
    names: /pxe_enabled/,
    async explained(bench) {
      const machine = await bench.plug()
      await bench.enrol(machine, { ports: [{ address: machine.mac, pxe_enabled: false }, { address: unused() }] })
      await bench.reach(machine, 'manage', 'manageable')
      await bench.reach(machine, 'provide', 'available')
      await bench.set(machine, '/instance_info', anyImage)
      return bench.failure(machine, 'active')
    },
  },
  {
    name: 'no-port-enabled',
    broken: 'no port may boot from the network',
    on: 'bench',
    cause: 'no-boot-port',
    names: /pxe_enabled/,
    async explained(bench) {
      const machine = await bench.plug()
      await bench.enrol(machine, { ports: [{ address: machine.mac, pxe_enabled: false }] })
      await bench.reach(machine, 'manage', 'manageable')
      await bench.ask(machine, 'inspect').catch(() => {}) // refused at once, or failed later
      return (await bench.rests(machine)).why
    },
  },
  undeployable(
    {
      name: 'foreign-dhcp',
      broken: 'another DHCP server is preferred',
      cause: 'foreign-dhcp-server',
      names: /another DHCP server/i,
    },
    async (machine, bench) => {
      machine.habits.server = await otherDhcp(bench)
      machine.habits.loaderServer = machine.habits.server
    },
  ),
  undeployable(
    {
      name: 'foreign-dhcp-loader',
      broken: 'the loader takes the address of another DHCP server',
      cause: 'foreign-dhcp-server',
      names: /another DHCP server/i,
    },
    async (machine, bench) => {
      machine.habits.server = serviceAddress
      machine.habits.loaderServer = await otherDhcp(bench)
    },
  ),
  undeployable(
    {
      name: 'tftp-missing',
      broken: 'the loader is not below the TFTP root',
      cause: 'tftp-file-missing',
      names: /undionly\.kpxe/,
    },
    async (_, bench) => {
      const loader = join(bench.directory, 'state/tftpboot/undionly.kpxe')
      await rm(loader)
      bench.around.defer(() => bench.stopService())
    },
  ),
  undeployable(
    {
      name: 'tftp-firewalled',
      broken: 'a firewall drops the blocks of TFTP',
      cause: 'tftp-broken',
      names: /firewall/,
      // The server gives up after most of a minute.
      config: { conductor: { deploy_callback_timeout: 75 } },
    },
    habit({ tftp: 'deaf' }),
  ),
  undeployable(
    {
      name: 'wrong-loader',
      broken: 'a loader for another kind of machine',
      cause: 'loader-silent',
      names: /architecture/,
    },
    habit({ loader: 'hangs' }),
  ),
  undeployable(
    {
      name: 'firmware-arch',
      broken: 'firmware of an architecture that no loader is configured for',
      cause: 'no-loader-for-firmware',
      names: /aarch64/,
    },
    habit({ arch: 11 }),
  ),
  undeployable(
    {
      name: 'firmware-mode',
      broken: 'the firmware is in BIOS mode, the node asks for UEFI, and the BMC (IPMI) cannot tell',
      cause: 'wrong-boot-mode',
      names: /BIOS.*uefi/,
      config: { DEFAULT: { enabled_boot_interfaces: 'ipxe,pxe,redfish-virtual-media' } },
    },
    () => {},
    { driver: 'ipmi', node: { boot_interface: 'pxe', properties: { capabilities: 'boot_mode:uefi' } } },
  ),
  undeployable(
    {
      name: 'http-url-wrong',
      broken: 'the URL of boot files leads nowhere',
      cause: 'loader-silent',
      names: /http_url/,
      config: { deploy: { http_url: 'http://10.77.0.99:8090' } },
    },
    () => {},
  ),
  undeployable(
    { name: 'script-missing', broken: "the node's boot script is gone", cause: 'script-not-served', names: /HTTP 404/ },
    withFiles(folder => rm(join(folder, 'config'))),
  ),
  undeployable(
    { name: 'script-truncated', broken: "the node's boot script is cut short", cause: 'no-kernel', names: /kernel/ },
    withFiles(folder => truncate(join(folder, 'config'), 60)),
  ),
  undeployable(
    {
      name: 'kernel-missing',
      broken: 'the kernel is gone from the file server',
      cause: 'kernel-not-served',
      names: /deploy_kernel.*HTTP 404/,
    },
    withFiles(folder => rm(join(folder, 'deploy_kernel'))),
  ),
  undeployable(
    {
      name: 'ramdisk-missing',
      broken: 'the ramdisk is gone from the file server',
      cause: 'ramdisk-not-served',
      names: /deploy_ramdisk.*HTTP 404/,
    },
    withFiles(folder => rm(join(folder, 'deploy_ramdisk'))),
  ),
  undeployable(
    { name: 'kernel-empty', broken: 'the published kernel is empty', cause: 'kernel-damaged', names: /bytes/ },
    unbootable(async folder => {
      await rm(join(folder, 'deploy_kernel'))
      await writeFile(join(folder, 'deploy_kernel'), '')
    }),
  ),
  undeployable(
    {
      name: 'ramdisk-truncated',
      broken: 'the published ramdisk is half of what it was',
      cause: 'ramdisk-damaged',
      names: /bytes/,
    },
    unbootable(async folder => {
      const file = join(folder, 'deploy_ramdisk')
      const whole = await readFile(file)
      // Another file: the source has the same inode.
      await rm(file)
      await writeFile(file, whole.subarray(0, whole.length / 2))
    }),
  ),
  undeployable(
    {
      name: 'kernel-silent',
      broken: 'the kernel panics, or has no driver for the card',
      cause: 'kernel-silent',
      names: /console/,
    },
    habit({ kernel: 'silent' }),
  ),
  undeployable(
    { name: 'reboot-loop', broken: 'the kernel reboots, again and again', cause: 'reboot-loop', names: /times/ },
    habit({ kernel: 'reboots', order: 'network' }),
  ),
  undeployable(
    {
      name: 'goes-off',
      broken: 'the machine switches itself off while it boots',
      cause: 'power-off',
      names: /"power off"/,
    },
    habit({ kernel: 'off' }),
  ),
  undeployable(
    {
      name: 'media-ejected',
      broken: 'the virtual medium is taken out before the machine boots it',
      cause: 'media-ejected',
      names: /no virtual medium is inserted/,
    },
    machine => {
      machine.atPowerOn = () => machine.hardware.ejectMedia()
    },
    { node: { boot_interface: 'redfish-virtual-media' } },
  ),
  undeployable(
    {
      name: 'media-url-wrong',
      broken: 'the BMC cannot reach the URL of the virtual medium',
      cause: 'media-not-inserted',
      names: /10\.77\.0\.99/,
    },
    () => {},
    { node: { boot_interface: 'redfish-virtual-media' }, driverInfo: { external_http_url: 'http://10.77.0.99:8090' } },
  ),
  undeployable(
    {
      name: 'media-not-booted',
      broken: 'the firmware does not boot the virtual medium',
      cause: 'media-silent',
      names: /boot mode/,
    },
    () => {},
    { node: { boot_interface: 'redfish-virtual-media' } },
  ),
] satisfies BenchFault[]

/** Another DHCP server on the bench's network, which knows nothing of boots. @returns its address */
async function otherDhcp(bench: Bench): Promise<string> {
  const address = '10.77.0.2'
  const other = await layCable('dhcp', strange)
  bench.around.defer(() => other.remove())
  await run('ip', ['-netns', other.namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0'])
  const options = ['--port=0', '--interface=eth0', `--dhcp-range=10.77.0.50,10.77.0.60,${netmask}`, '--leasefile-ro']
  const command = ['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--user=root', ...options]
  const child = spawn('ip', ['netns', 'exec', other.namespace, ...command], { stdio: 'ignore' })
  bench.around.defer(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  await sleep(1000)
  return address
}

/** Somebody else takes an address. */
async function lease(namespace: string, mac: string): Promise<void> {
  const probe = join(import.meta.dirname, '../../../src/boot/netboot-probe.ts')
  await run('ip', ['netns', 'exec', namespace, process.execPath, probe, '--mac', mac])
}
