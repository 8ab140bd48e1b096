/**
 * What answers machines that boot from the network: the HTTP server for boot files and images, and dnsmasq where
 * Ferrite is to run it. What they see becomes hops of the machine's boot. Which machines are answered follows the ports.
 */
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import { portsOf } from '#db/ports.ts'
import { startFileServer, type Transfer } from '#images/file-server.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'
import { type Dnsmasq, startDnsmasq } from './dnsmasq.ts'
import type { DnsmasqEvent } from './dnsmasq-log.ts'
import { type Hop, recordHop } from './hops.ts'
import { followPorts } from './ipxe.ts'
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
  await prepareBootRoots(config, log)
  const note = (hop: Parameters<typeof recordHop>[1]) => {
    recordHop(db, hop).catch(error => log.warn({ err: error }, 'a hop of a boot could not be written down'))
  }

  await using started = new AsyncDisposableStack()
  if (ferrite.http_serve) {
    const files = await startFileServer({
      host: ferrite.http_host,
      port: ferrite.http_port,
      root: deploy.http_root,
      maxConnections: ferrite.http_max_connections,
      log: log.child({ part: 'http' }),
      onTransfer: transfer => {
        const hop = hopOfTransfer(transfer)
        if (hop) note({ ...hop, nowMs: clock.now() })
      },
    })
    started.defer(() => files.close())
  }
  let dnsmasq: Dnsmasq | undefined
  if (ferrite.manage_dnsmasq) {
    const onEvent = (event: DnsmasqEvent) => {
      const hop = hopOfEvent(event)
      if (hop) note({ ...hop, nowMs: clock.now() })
    }
    dnsmasq = await startDnsmasq({
      config,
      clock,
      log: log.child({ part: 'dnsmasq' }),
      onEvent,
      known: await bootMacs(db),
    })
    started.defer(() => dnsmasq?.stop())
  }
  const running = started.move()
  return {
    async portsChanged(node) {
      await followPorts(config, node.uuid, await portsOf(db, node.uuid))
      await dnsmasq?.setKnown(await bootMacs(db))
    },
    stop: () => running.disposeAsync(),
  }
}

/** MAC addresses that may boot from the network. */
async function bootMacs(db: Db): Promise<string[]> {
  const rows = await db.selectFrom('ports').select('address').where('pxe_enabled', '=', 1).execute()
  return rows.map(row => row.address)
}

type Seen = { hop: Hop; mac?: string; nodeUuid?: string; data: Record<string, unknown> }

const ofNode = /^\/([0-9a-f]{8}-[0-9a-f-]{27})\/(\w+)$/
const ofMac = /^\/[\w.-]+\/((?:[0-9a-f]{2}-){5}[0-9a-f]{2})$/
const hopOfFile: Readonly<Record<string, Hop>> = {
  config: 'script',
  deploy_kernel: 'kernel',
  deploy_ramdisk: 'ramdisk',
  rescue_kernel: 'kernel',
  rescue_ramdisk: 'ramdisk',
  kernel: 'kernel',
  ramdisk: 'ramdisk',
}

/** A whole file that a machine fetched, as a hop; undefined for everything else. */
function hopOfTransfer({ path, status, bytes, seconds, complete }: Transfer): Seen | undefined {
  if (status !== 200 || !complete) return undefined
  const data = { path, bytes, seconds }
  const mac = ofMac.exec(path)?.[1]
  if (mac) return { hop: 'script', mac: mac.replaceAll('-', ':'), data }
  const [, nodeUuid, file = ''] = ofNode.exec(path) ?? []
  const hop = hopOfFile[file]
  return hop && nodeUuid ? { hop, nodeUuid, data } : undefined
}

function hopOfEvent(event: DnsmasqEvent): Seen | undefined {
  if (event.mac === null) return undefined
  if (event.kind === 'tftp') {
    return event.outcome === 'sent' ? { hop: 'tftp', mac: event.mac, data: { file: event.file } } : undefined
  }
  if (event.message !== 'discover' && event.message !== 'offer' && event.message !== 'ack') return undefined
  return { hop: `dhcp ${event.message}`, mac: event.mac, data: { ip: event.ip, detail: event.detail } }
}
