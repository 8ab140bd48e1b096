/**
 * What answers machines that boot from the network: the HTTP server for boot files and images, and dnsmasq where
 * Ferrite is to run it. What they see becomes hops of the machine's boot. Which machines are answered follows the ports.
 */
import { resolve } from 'node:path'
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import { portsOf } from '#db/ports.ts'
import { Sightings } from '#db/sightings.ts'
import { startFileServer, type Transfer } from '#images/file-server.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'
import type { Hop, Trouble } from '#protocol/boot.ts'
import { type Dnsmasq, startDnsmasq } from './dnsmasq.ts'
import type { KnownMachine } from './dnsmasq-config.ts'
import type { DnsmasqEvent } from './dnsmasq-log.ts'
import { followPorts } from './node-files.ts'
import { prepareBootRoots } from './root.ts'

export interface BootServices {
  /** To be called after ports of a node were added, changed or removed. */
  portsChanged(node: Pick<Node, 'uuid'>): Promise<void>
  stop(): Promise<void>
}

/** Starts them; what cannot start says why, and nothing of it is left running. */
export async function startBootServices(world: {
  config: Config
  db: Db
  clock: Clock
  log: Log
}): Promise<BootServices> {
  const { config, db, clock, log } = world
  const { ferrite, deploy } = config
  const tftpRoot = resolve(config.pxe.tftp_root)
  await prepareBootRoots(config, log)
  const sightings = new Sightings({ db, clock })
  const macOfIp = new Map<string, string>()
  const note = (seen: Seen | undefined) => {
    if (!seen) return
    tell('hop' in seen ? sightings.hop(seen) : sightings.trouble(seen, seen.trouble))
  }
  const tell = (written: Promise<void>) => {
    written.catch(error => log.warn({ err: error }, 'what was seen of a boot could not be written down'))
  }

  await using started = new AsyncDisposableStack()
  if (ferrite.http_serve) {
    const files = await startFileServer({
      host: ferrite.http_host,
      port: ferrite.http_port,
      root: deploy.http_root,
      maxConnections: ferrite.http_max_connections,
      log: log.child({ part: 'http' }),
      onTransfer: transfer => note(seenInTransfer(transfer, macOfIp.get(transfer.remoteAddress))),
    })
    started.defer(() => files.close())
  }
  let dnsmasq: Dnsmasq | undefined
  if (ferrite.manage_dnsmasq) {
    const onEvent = (event: DnsmasqEvent) => {
      if (event.kind === 'dhcp' && event.message === 'ack' && event.ip !== null) macOfIp.set(event.ip, event.mac)
      note(seenInEvent(event, tftpRoot))
    }
    dnsmasq = await startDnsmasq({
      config,
      clock,
      log: log.child({ part: 'dnsmasq' }),
      onEvent,
      onOutage: (state, reason) => tell(sightings.outage({ part: 'dnsmasq', state, reason })),
      known: await bootMachines(db),
    })
    // Whatever an earlier life of this process told of it is over.
    tell(sightings.outage({ part: 'dnsmasq', state: 'up', reason: 'the service started it' }))
    started.defer(() => dnsmasq?.stop())
  }
  const running = started.move()
  return {
    async portsChanged(node) {
      await followPorts(config, node.uuid, await portsOf(db, node.uuid))
      await dnsmasq?.setKnown(await bootMachines(db))
    },
    stop: () => running.disposeAsync(),
  }
}

/** Machines that may boot from the network. */
async function bootMachines(db: Db): Promise<KnownMachine[]> {
  const rows = await db
    .selectFrom('ports')
    .innerJoin('nodes', 'nodes.uuid', 'ports.node_uuid')
    .select(['ports.address', 'nodes.boot_interface'])
    .where('ports.pxe_enabled', '=', 1)
    .execute()
  return rows.map(({ address, boot_interface }) => ({ mac: address, way: boot_interface }))
}

type Seen = { mac?: string; nodeUuid?: string } & ({ hop: Hop; data: Record<string, unknown> } | { trouble: Trouble })

const ofNode = /^\/([0-9a-f]{8}-[0-9a-f-]{27})\/(\w+)$/
/** Configurations by MAC address: of iPXE and pxelinux, and the two of GRUB. */
const ofMac = /^\/(?:[\w.-]+\/(?:[0-9a-f]{2}-)?|grub\.cfg-01-)?((?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2})(?:\.conf)?$/
/** Scripts that every machine begins with. */
const entries = ['/boot.ipxe', '/grub/grub.cfg']
const loaderFile = /^\/[\w.-]+\.efi$/
const hopOfFile: Readonly<Record<string, Hop>> = {
  config: 'script',
  deploy_kernel: 'kernel',
  deploy_ramdisk: 'ramdisk',
  rescue_kernel: 'kernel',
  rescue_ramdisk: 'ramdisk',
  kernel: 'kernel',
  ramdisk: 'ramdisk',
}

/** Which hop the fetching of a file is, and whose; undefined for what is no part of a boot, or one that boots do without. */
function hopOf(path: string, asker?: string): (({ mac: string } | { nodeUuid: string }) & { hop: Hop }) | undefined {
  const [, nodeUuid, file = ''] = ofNode.exec(path) ?? []
  if (nodeUuid) {
    const hop = hopOfFile[file]
    return hop && { nodeUuid, hop }
  }
  const mac = ofMac.exec(path)?.[1]?.replaceAll('-', ':')
  if (mac) return { mac, hop: 'script' }
  if (asker === undefined) return undefined
  if (entries.includes(path)) return { mac: asker, hop: 'ipxe' }
  // The first loader, where firmware fetches it by HTTP.
  return loaderFile.test(path) ? { mac: asker, hop: 'tftp' } : undefined
}

/** What a machine fetched, or failed to fetch; undefined for what is no part of a boot. */
function seenInTransfer(
  { path, status, bytes, sizeBytes, seconds, complete }: Transfer,
  asker?: string,
): Seen | undefined {
  const of = hopOf(path, asker)
  if (!of) return undefined
  if (status === 200 && complete) return { ...of, data: { path, bytes, seconds } }
  const { hop: _, ...who } = of
  return { ...who, trouble: { what: 'http failed', path, status, bytes, sizeBytes } }
}

function seenInEvent(event: DnsmasqEvent, tftpRoot: string): Seen | undefined {
  const { kind, mac } = event
  if (mac === null) return undefined
  if (kind === 'tftp') {
    const { outcome } = event
    const file = event.file.startsWith(`${tftpRoot}/`) ? event.file.slice(tftpRoot.length + 1) : event.file
    if (outcome === 'sent') return { hop: hopOf(`/${file}`, mac)?.hop ?? 'tftp', mac, data: { file: event.file } }
    return isOptional(file) ? undefined : { mac, trouble: { what: 'tftp failed', file: event.file, outcome } }
  }
  const { message, ip, detail } = event
  const isRefused = message === 'nak' || message === 'decline' || detail === noAddress
  if (isRefused) return { mac, trouble: { what: 'dhcp refused', mac, detail: detail ?? message } }
  if (message === 'discover' || message === 'offer' || message === 'request' || message === 'ack') {
    return { hop: `dhcp ${message}`, mac, data: { ip, detail, client: event.vendorClass } }
  }
  return undefined
}

/**
 * Loaders ask for much that need not be there: pxelinux for configurations by UUID and address, and its libraries in other
 * folders, GRUB for lists of its modules and fonts, shim for further certificates and revocations.
 */
function isOptional(file: string): boolean {
  const isLoaders =
    /^(pxelinux\.cfg|grub|boot)\//.test(file) && !ofMac.test(`/${file}`) && !entries.includes(`/${file}`)
  return isLoaders || /\.(c32|bss)$|(^|\/)(revocations\w*|shim_certificate\w*)\.efi$/.test(file)
}

/** What dnsmasq says when its range is used up. */
const noAddress = 'no address available'
