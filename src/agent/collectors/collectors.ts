/**
 * The collectors of an inspection, by the names that `ipa-inspection-collectors` has for them. Each adds keys to what is
 * posted; all run at once, save for the logs, which are to hold what the others said.
 *
 * Source: openstack/ironic-python-agent `inspector.py` (names, keys).
 */
import { messageOf } from '#lib/fault.ts'
import type { AgentContext } from '../context.ts'
import { collectLldp } from '../hardware/lldp.ts'
import type { Hardware } from '../hardware/manager.ts'
import { listNetworkInterfaces } from '../hardware/network-interfaces.ts'
import { collectSystemLogs } from '../system-logs.ts'
import { collectDefault } from './default.ts'
import { readDmi } from './dmi.ts'
import { extraHardware } from './extra-hardware.ts'
import { numaTopology } from './numa-topology.ts'
import { pciDevices } from './pci-devices.ts'
import { usbDevices } from './usb-devices.ts'

export type Data = Record<string, unknown>

export interface Collecting {
  context: AgentContext
  hardware: Hardware
  signal: AbortSignal
}

type Collector = (collecting: Collecting) => Promise<Data>

const collectors: Record<string, Collector> = {
  default: collectDefault,
  logs: async ({ context }) => ({ logs: (await collectSystemLogs(context)).toString('base64') }),
  'pci-devices': async () => ({ pci_devices: await pciDevices() }),
  'extra-hardware': async ({ context, hardware }) => ({ data: await extraHardware(context, hardware) }),
  'numa-topology': async () => ({ numa_topology: await numaTopology() }),
  'dmi-decode': async () => ({ dmi: await readDmi() }),
  'usb-devices': async () => ({ usb_devices: await usbDevices() }),
  lldp: async ({ context, signal }) => {
    const names = (await listNetworkInterfaces()).map(({ name }) => name)
    return { lldp_raw: await collectLldp(names, { timeoutMs: context.options.lldpTimeoutMs, signal }) }
  },
}

/** What all of these found. A collector that fails, or does not exist, is recorded in `error`, and the others count. */
export async function collect(names: readonly string[], collecting: Collecting): Promise<Data> {
  const { hardware, context } = collecting
  const errors = new Map<string, string>()
  const found = new Map<string, Data>()
  const attempt = async (name: string) => {
    const collector = Object.hasOwn(collectors, name) ? collectors[name] : undefined
    try {
      if (collector === undefined) throw new Error(`no such collector; there are ${Object.keys(collectors).join(', ')}`)
      const startedAt = performance.now()
      found.set(name, await collector(collecting))
      context.log.info(`Collector ${name} took ${Math.round(performance.now() - startedAt)} ms`)
    } catch (error) {
      errors.set(name, messageOf(error))
      context.log.error(`Collector ${name}: ${messageOf(error)}`)
    }
  }
  await Promise.all(names.filter(name => name !== 'logs').map(attempt))
  if (names.includes('logs')) await attempt('logs')
  const data: Data = {
    configuration: { collectors: names, managers: hardware.managers.map(({ version }) => version) },
  }
  for (const name of names) Object.assign(data, found.get(name))
  const lines = names.flatMap(name => (errors.has(name) ? [`* ${name}: ${errors.get(name)}`] : []))
  data.error = lines.length === 0 ? null : ['The following errors were encountered:', ...lines].join('\n')
  return data
}
