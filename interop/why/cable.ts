/**
 * The network of the bench: a bridge in the namespace that we run in, and for each machine a namespace of its own with one
 * card, whose cable ends at the bridge. DHCP, TFTP and HTTP cross it as they would cross a switch.
 */
import { run } from '#lib/run.ts'

export const bridge = 'br0'
/** Of the service, and of whatever else a fault needs on that network. */
export const serviceAddress = '10.77.0.1'
export const netmask = '255.255.255.0'

export async function makeBridge(): Promise<void> {
  await batch([
    `link add ${bridge} address 02:fe:77:00:00:01 type bridge stp_state 0 forward_delay 0`,
    `address add ${serviceAddress}/24 dev ${bridge}`,
    `link set ${bridge} up`,
  ])
}

export interface Cable {
  /** Of the machine, as `ip netns` knows it. */
  readonly namespace: string
  pull(): Promise<void>
  plug(): Promise<void>
  remove(): Promise<void>
}

/** A machine's namespace with the card `eth0`, and its cable. @param name at most ten letters, unique on this host */
export async function layCable(name: string, mac: string): Promise<Cable> {
  const port = `c-${name}`
  const namespace = `ferrite-why-${process.pid}-${name}`
  await run('ip', ['netns', 'add', namespace])
  await batch([
    `link add ${port} type veth peer name eth0 address ${mac} netns ${namespace}`,
    `link set ${port} master ${bridge} up`,
  ])
  await batch(['link set lo up', 'link set eth0 up'], namespace)
  // Firmware without an address hears answers that come from any.
  const filters = ['all', 'eth0'].map(each => `echo 0 > /proc/sys/net/ipv4/conf/${each}/rp_filter`)
  await run('ip', ['netns', 'exec', namespace, 'sh', '-c', filters.join('; ')])
  await freshCard(namespace)
  return {
    namespace,
    pull: () => batch([`link set ${port} down`]),
    plug: () => batch([`link set ${port} up`]),
    async remove() {
      await batch([`link delete ${port}`])
      await run('ip', ['netns', 'delete', namespace])
    },
  }
}

/** As after power-on: the card has no address, and a way to everybody on the wire. */
export async function freshCard(namespace: string): Promise<void> {
  await batch(['address flush dev eth0', 'route replace 255.255.255.255/32 dev eth0'], namespace)
}

async function batch(lines: readonly string[], namespace?: string): Promise<void> {
  const where = namespace === undefined ? [] : ['-netns', namespace]
  await run('ip', [...where, '-batch', '-'], { input: `${lines.join('\n')}\n` })
}
