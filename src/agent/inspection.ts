/**
 * Inspection in band: gathers what the machine is and posts it once, before the lookup. A collector that fails is
 * recorded in the data, and the others go on: half an inventory with its error is worth more than none.
 *
 * Source: openstack/ironic-python-agent `inspector.py` (collectors, keys, retries).
 */
import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Value } from 'typebox/value'
import { messageOf } from '#lib/fault.ts'
import { InspectionAnswer } from '#protocol/agent.ts'
import type { AgentContext } from './context.ts'
import { AgentFault } from './errors.ts'
import { asDisk, linkName, readOrNull, trimmed } from './hardware/block-devices.ts'
import type { Hardware } from './hardware/manager.ts'
import { chooseRootDevice } from './hardware/root-device.ts'
import { readText, request, shown } from './http.ts'
import { collectSystemLogs } from './system-logs.ts'

type Data = Record<string, unknown>
type Collector = (context: AgentContext, hardware: Hardware) => Promise<Data>

const collectors: Record<string, Collector> = {
  default: async (_context, hardware) => {
    const inventory = await hardware.call('listHardwareInfo')
    return {
      inventory,
      boot_interface: inventory.boot.pxe_interface,
      ...(await likelyRootDisk(hardware)),
    }
  },
  logs: async context => ({ logs: (await collectSystemLogs(context)).toString('base64') }),
  'pci-devices': async () => ({ pci_devices: await pciDevices() }),
}

const DEFAULT_COLLECTORS = ['default', 'logs']
const ATTEMPTS = 5

/** URLs to post to; empty when nobody asked for inspection. */
export function inspectionUrls({ options }: AgentContext): string[] {
  if (options.inspectionUrls.length > 0) return options.inspectionUrls
  if (options.inspectionCollectors === null) return []
  return options.apiUrls.map(url => `${url}/v1/continue_inspection`)
}

/**
 * Gathers and posts.
 * @returns the node's uuid as the receiver knows it
 * @throws AgentFault InspectionError when nobody took the data
 */
export async function inspect(context: AgentContext, hardware: Hardware, signal: AbortSignal): Promise<string | null> {
  const { options, log } = context
  const names = options.inspectionCollectors ?? DEFAULT_COLLECTORS
  const data = await collect(context, hardware, names)
  let reason = ''
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if (attempt > 1) await sleep(Math.min(30_000, Math.max(5_000, 1500 * 2 ** (attempt - 1))), undefined, { signal })
    for (const url of inspectionUrls(context)) {
      const outcome = await post(context, url, data)
      if (outcome.kind === 'accepted') {
        log.info(`Inspection data accepted by ${shown(url)}: node ${outcome.uuid ?? 'not named'}`)
        return outcome.uuid
      }
      reason = `${shown(url)}: ${outcome.reason}`
      if (outcome.kind === 'refused') throw new AgentFault('InspectionError', `Posting inspection data: ${reason}`)
      log.warn(`Posting inspection data, attempt ${attempt} of ${ATTEMPTS}: ${reason}`)
    }
  }
  throw new AgentFault('InspectionError', `Posting inspection data failed ${ATTEMPTS} times: ${reason}`)
}

async function collect(context: AgentContext, hardware: Hardware, names: readonly string[]): Promise<Data> {
  const errors: string[] = []
  const data: Data = {
    configuration: { collectors: names, managers: hardware.managers.map(({ version }) => version) },
  }
  for (const name of names) {
    const collector = Object.hasOwn(collectors, name) ? collectors[name] : undefined
    try {
      if (collector === undefined) throw new Error(`no such collector; there are ${Object.keys(collectors).join(', ')}`)
      Object.assign(data, await collector(context, hardware))
    } catch (error) {
      errors.push(`* ${name}: ${messageOf(error)}`)
      context.log.error(`Collector ${name}: ${messageOf(error)}`)
    }
  }
  data.error = errors.length === 0 ? null : ['The following errors were encountered:', ...errors].join('\n')
  return data
}

type Outcome =
  | { kind: 'accepted'; uuid: string | null }
  | { kind: 'refused'; reason: string }
  | { kind: 'again'; reason: string }

async function post({ options }: AgentContext, url: string, data: Data): Promise<Outcome> {
  try {
    const answer = await request(options, {
      method: 'POST',
      url,
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      json: data,
      timeoutMs: options.httpTimeoutMs,
    })
    const text = await readText(answer)
    if (answer.status >= 200 && answer.status < 300) {
      const body: unknown = text === '' ? null : JSON.parse(text)
      return { kind: 'accepted', uuid: Value.Check(InspectionAnswer, body) ? body.uuid : null }
    }
    const reason = `the answer was ${answer.status}: ${text.slice(0, 300)}`
    return { kind: answer.status >= 500 || answer.status === 409 ? 'again' : 'refused', reason }
  } catch (error) {
    return { kind: 'again', reason: messageOf(error) }
  }
}

/** The disk that would be chosen without hints; nothing when none would. */
async function likelyRootDisk(hardware: Hardware): Promise<Data> {
  try {
    return { root_disk: asDisk(chooseRootDevice(await hardware.call('listBlockDevices'), {})) }
  } catch (error) {
    if (error instanceof AgentFault && error.type === 'DeviceNotFound') return {}
    throw error
  }
}

async function pciDevices(): Promise<Data[]> {
  const root = '/sys/bus/pci/devices'
  const names = await readdir(root).catch(() => [])
  return await Promise.all(
    names.sort().map(async bus => {
      const read = async (name: string) =>
        (trimmed(await readOrNull(`${root}/${bus}/${name}`)) ?? '').replace(/^0x/, '')
      const [vendor, product, kind, revision, numa] = await Promise.all(
        ['vendor', 'device', 'class', 'revision', 'numa_node'].map(read),
      )
      const driver = await linkName(`${root}/${bus}/driver`)
      return { vendor_id: vendor, product_id: product, class: kind, revision, bus, numa_node_id: numa, driver }
    }),
  )
}
