/**
 * The lab's network: one namespace that holds a bridge, a tap per network card and the BMCs' addresses.
 *
 * Everything of a lab runs inside: machines, BMCs, dnsmasq and, when a test or the demo starts it, the service itself.
 * There is no cable to the host's own namespace. So addresses cannot collide, with the host's or another lab's, and we
 * never touch an interface, a route, a firewall rule or a setting of the host; a DHCP server that goes astray answers
 * nobody but our machines. The price is that the host cannot connect by IP; `Lab.forward` carries single ports over
 * the supervisor's unix socket, which namespaces do not divide. Nothing here needs or gives access to the Internet.
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { CommandFailed, run } from '#lib/run.ts'
import type { LabState } from './state.ts'

/** The same in every lab, since no two labs see each other. */
export const plan = {
  bridge: 'br0',
  address: '10.77.0.1',
  subnet: '10.77.0.0/24',
  netmask: '255.255.255.0',
  dhcp_first: '10.77.0.100',
  dhcp_last: '10.77.0.250',
  bmc_subnet: '10.77.1.0/24',
} satisfies LabState['network']

/** Address of the n-th machine's BMC, counted from 0. */
export const bmcAddress = (index: number): string => `10.77.1.${index + 10}`

/** How many machines fit: the last BMC address is .254. */
export const MAX_MACHINES = 245

/** Makes the namespace with all that is in it. It must not exist yet. */
export async function createNetwork(state: LabState): Promise<void> {
  const { namespace, network, machines } = state
  await run('ip', ['netns', 'add', namespace])
  const lines = [
    'link set lo up',
    // A fixed MAC: else the bridge takes the lowest of its ports, and changes it when a tap is added.
    `link add ${network.bridge} address 02:fe:77:00:00:01 type bridge stp_state 0 forward_delay 0`,
    `address add ${network.address}/24 dev ${network.bridge}`,
    `link set ${network.bridge} up`,
    // The management network has no cable: processes in the namespace reach the BMCs, machines have no route to them.
    ...machines.map(machine => `address add ${machine.bmc.address}/32 dev lo`),
    ...machines.flatMap(machine =>
      machine.nics.flatMap(nic => [
        `tuntap add dev ${nic.tap} mode tap`,
        `link set ${nic.tap} master ${network.bridge} up`,
      ]),
    ),
  ]
  await run('ip', ['-netns', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` })
}

/** Plugs or pulls a cable; the caller is inside the namespace. */
export async function setLink(tap: string, state: 'up' | 'down'): Promise<void> {
  await run('ip', ['link', 'set', tap, state])
}

/** Datagrams that can be kept from passing, for all machines of a lab: DHCP's answers, and requests for files by TFTP. */
const blocks = {
  dhcp: { direction: 'out', port: 68 },
  tftp: { direction: 'in', port: 69 },
} as const
export type Blocked = keyof typeof blocks

/** Loses such datagrams from now on, or lets them pass; the caller is inside the namespace. Twice is once. */
export async function setBlocked(what: Blocked, isBlocked: boolean): Promise<void> {
  const { direction, port } = blocks[what]
  const selector = ['src', '0.0.0.0/0', 'dst', '0.0.0.0/0', 'proto', 'udp', 'dport', String(port)]
  const policy = ['dir', direction, ...selector]
  if (isBlocked) await run('ip', ['xfrm', 'policy', 'update', ...policy, 'action', 'block'])
  // There may be none.
  else await run('ip', ['xfrm', 'policy', 'delete', ...policy]).catch(() => undefined)
}

/**
 * Ends every process inside the namespace, whoever started it, and removes the namespace with all its interfaces. Does
 * nothing when there is none. A process that calls this from inside is spared.
 * @param limitMs how long processes may take to end by themselves before they are killed
 */
export async function destroyNetwork(namespace: string, limitMs = 5000): Promise<void> {
  if (!(await namespaces()).includes(namespace)) return
  await endProcesses(namespace, limitMs)
  await run('ip', ['netns', 'delete', namespace])
}

/** Names of the namespaces that exist on this host. */
export async function namespaces(): Promise<string[]> {
  const { stdout } = await run('ip', ['netns', 'list'])
  return stdout
    .split('\n')
    .map(line => line.split(' ')[0] ?? '')
    .filter(name => name !== '')
}

async function endProcesses(namespace: string, limitMs: number): Promise<void> {
  const deadline = Date.now() + limitMs
  for (const pid of await processes(namespace)) signal(pid, 'SIGTERM')
  for (;;) {
    const left = await processes(namespace)
    if (left.length === 0) return
    if (Date.now() > deadline) for (const pid of left) signal(pid, 'SIGKILL')
    // A killed process that does not go hangs in the kernel: give up, the namespace goes when it does.
    if (Date.now() > deadline + 5000) return
    await sleep(50)
  }
}

/** Those that run in the namespace now; zombies, which nothing can end but their parent, left out. */
export async function processes(namespace: string): Promise<number[]> {
  const { stdout } = await run('ip', ['netns', 'pids', namespace]).catch(error => {
    // A process that ends while ip walks through /proc makes it fail: look again next time.
    if (error instanceof CommandFailed) return { stdout: '' }
    throw error
  })
  const pids = stdout
    .split('\n')
    .filter(line => line !== '')
    .map(Number)
  const living = await Promise.all(pids.map(async pid => pid !== process.pid && !(await isZombie(pid))))
  return pids.filter((_, index) => living[index])
}

async function isZombie(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat === '' || stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It ended by itself in the meantime.
  }
}
