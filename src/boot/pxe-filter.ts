/**
 * The filter of a dnsmasq that boots ramdisks for inspection and shares its network with other DHCP servers: it answers
 * only machines that are inspected right now. One file per MAC address in that dnsmasq's dhcp-hostsdir, which it reads as
 * they are written; files are never deleted, because it would not notice. The dnsmasq that Ferrite runs itself needs
 * none of this: what it serves follows the nodes.
 *
 * Source: Ironic ironic/pxe_filter/ (behaviour and file contents restated); dnsmasq(8), dhcp-hostsdir.
 */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'

/** Of machines that have no port. */
const unknownHosts = 'unknown_hosts_filter'
const everybody = '*:*:*:*:*:*'
const mac = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

export class PxeFilter {
  readonly #world: { db: Db; config: Config }
  /** Whether a file allows, by its name, as this process wrote or read it; undefined before the first look. */
  #files: Map<string, boolean> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(world: { db: Db; config: Config }) {
    this.#world = world
  }

  /** @throws InvalidInput when the directory is not there; asked when the service starts */
  async check(): Promise<void> {
    const { dhcp_hostsdir: directory } = this.#world.config.pxe_filter
    if (directory === null || (await stat(directory).catch(() => undefined))?.isDirectory()) return
    throw new InvalidInput(
      `Cannot filter network boots: [pxe_filter] dhcp_hostsdir is ${directory}, and that is no directory; expected the dhcp-hostsdir of a dnsmasq, for this service to write to`,
    )
  }

  /** Writes what differs from what the nodes ask for; nothing where no filter is wanted. One at a time. */
  sync(): Promise<void> {
    const turn = this.#last.then(() => this.#sync())
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #sync(): Promise<void> {
    const { db, config } = this.#world
    const { dhcp_hostsdir: directory, supported_inspect_interfaces: supported } = config.pxe_filter
    if (directory === null) return
    const inspected = await inspectedNodes(db, supported)
    const ports = await db.selectFrom('ports').select(['address', 'node_uuid']).execute()
    // Who has no port yet may be the machine that is inspected.
    const allowsUnknown = config.auto_discovery.enabled || inspected.size > 0
    this.#files ??= await readFiles(directory)
    const wanted = new Map([...this.#files.keys()].map(name => [name, allowsUnknown]))
    for (const { address, node_uuid } of ports) wanted.set(address, inspected.has(node_uuid))
    wanted.set(unknownHosts, allowsUnknown)
    for (const [name, allows] of wanted) {
      if (this.#files.get(name) === allows) continue
      await write(directory, name, allows)
      this.#files.set(name, allows)
    }
  }
}

async function inspectedNodes(db: Db, supported: readonly string[]): Promise<Set<string>> {
  const rows = await db
    .selectFrom('nodes')
    .select(['uuid', 'inspect_interface'])
    .where('provision_state', 'in', ['inspecting', 'inspect wait'])
    .execute()
  return new Set(rows.filter(row => supported.includes(row.inspect_interface ?? '')).map(row => row.uuid))
}

/** What an earlier process left; a file that says neither is written anew. */
async function readFiles(directory: string): Promise<Map<string, boolean>> {
  const files = new Map<string, boolean>()
  for (const name of await readdir(directory)) {
    if (!mac.test(name) && name !== unknownHosts) continue
    const text = await readFile(join(directory, name), 'utf8')
    for (const allows of [true, false]) if (text === content(name, allows)) files.set(name, allows)
  }
  return files
}

function content(name: string, allows: boolean): string {
  return `${name === unknownHosts ? everybody : name}${allows ? '' : ',ignore'}\n`
}

/** dnsmasq reads a file when it is closed. */
async function write(directory: string, name: string, allows: boolean): Promise<void> {
  try {
    await writeFile(join(directory, name), content(name, allows), { mode: 0o644 })
  } catch (error) {
    throw new InvalidInput(`Cannot write the network boot filter of ${name} to ${directory}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
