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
import { startFileServer } from '#images/file-server.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'
import { type Dnsmasq, startDnsmasq } from './dnsmasq.ts'
import type { KnownMachine } from './dnsmasq-config.ts'
import type { DnsmasqEvent } from './dnsmasq-log.ts'
import { followPorts } from './node-files.ts'
import { prepareBootRoots } from './root.ts'
import { type Seen, seenInEvent, seenInTransfer } from './seen.ts'

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
