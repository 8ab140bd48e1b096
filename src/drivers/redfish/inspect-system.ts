/**
 * A machine as its BMC describes it, in the form in which an agent tells of one, so that hooks and rules need not know
 * who did.
 *
 * Source: DMTF DSP2046, ComputerSystem, Processor, SecureBoot; Ironic ironic/drivers/modules/redfish/inspect.py (names
 * and conversions; behaviour restated). Beyond it: the CPU's flags are not known to a BMC, secure boot is.
 */
import type { BootMode } from '#protocol/states.ts'
import type { NodeContext } from '../driver.ts'
import { objectIn, textIn } from '../inspection/hook.ts'
import { Asker } from './asker.ts'
import { asCollected, readInterfaces, readLldp, readPciDevices } from './inspect-devices.ts'
import { amountOf, anyResource, known, linkOf, membersOf, type Plain } from './inspect-resource.ts'
import { readStorage } from './inspect-storage.ts'
import { readSystem } from './system.ts'

export interface FoundSystem {
  readonly inventory: Record<string, unknown>
  readonly pluginData: Record<string, unknown>
  readonly memoryMb: number | undefined
  readonly localGb: number
  readonly bootMode: BootMode | undefined
  readonly secureBoot: boolean | undefined
}

/** By the BMC's name of the instruction set. */
const architectures: Readonly<Record<string, string>> = {
  'ARM-A32': 'arm',
  'ARM-A64': 'aarch64',
  'IA-64': 'ia64',
  MIPS32: 'mips',
  MIPS64: 'mips64',
  x86: 'i686',
  'x86-64': 'x86_64',
}

/** @throws HardwareFault when the BMC cannot be reached, or does not show its system */
export async function inspectSystem(ctx: NodeContext): Promise<FoundSystem> {
  const { client, path } = await readSystem(ctx)
  const { resource: system } = await client.get(path, anyResource, { signal: ctx.signal })
  const asker = new Asker(client, ctx.signal)
  const memoryGib = amountOf(objectIn(system.MemorySummary).TotalSystemMemoryGiB)
  const memoryMb = memoryGib === undefined || memoryGib === 0 ? undefined : Math.round(memoryGib * 1024)
  const storage = await readStorage(asker, system)
  const pciDevices = await readPciDevices(asker, system)
  const heard = await readLldp(asker, system)
  const interfaces = (await readInterfaces(asker, system)).map(one => {
    const port = heard.find(({ macs }) => macs.includes(String(one.mac_address)))
    return port ? { ...one, lldp: port.tlvs } : one
  })
  const bootMode = bootModeOf(system)
  const secureBoot = await readSecureBoot(asker, system)
  const boot = known({ current_boot_mode: bootMode, secure_boot: secureBoot })
  return {
    inventory: {
      cpu: await readCpu(asker, system),
      ...(memoryMb === undefined ? {} : { memory: { physical_mb: memoryMb } }),
      ...(storage.disks.length > 0 ? { disks: storage.disks } : {}),
      ...(storage.controllers.length > 0 ? { storage_controllers: storage.controllers } : {}),
      interfaces,
      ...(pciDevices.length > 0 ? { pci_devices: pciDevices } : {}),
      system_vendor: known({
        product_name: textIn(system.Model),
        serial_number: textIn(system.SerialNumber),
        manufacturer: textIn(system.Manufacturer),
        system_uuid: textIn(system.UUID),
      }),
      boot,
    },
    pluginData: {
      ...(heard.length > 0 ? { parsed_lldp: Object.fromEntries(heard.map(({ name, parsed }) => [name, parsed])) } : {}),
      ...(pciDevices.length > 0 ? { pci_devices: asCollected(pciDevices) } : {}),
    },
    memoryMb,
    localGb: storage.localGb,
    bootMode,
    secureBoot,
  }
}

/** What is not known is nothing: rules and hooks find the keys of an agent. */
async function readCpu(asker: Asker, system: Plain): Promise<Plain> {
  const summary = objectIn(system.ProcessorSummary)
  const processors = await membersOf(asker, system.Processors)
  const cpus = processors.filter(one => (textIn(one.ProcessorType) ?? 'CPU') === 'CPU')
  const [first = {}] = cpus
  const threads = cpus.reduce((sum, one) => sum + (amountOf(one.TotalThreads) ?? 0), 0)
  return {
    count: threads > 0 ? threads : (amountOf(summary.LogicalProcessorCount) ?? amountOf(summary.Count) ?? cpus.length),
    architecture: architectures[textIn(first.InstructionSet) ?? ''] ?? '',
    ...known({
      model_name: textIn(first.Model) ?? textIn(summary.Model),
      frequency: amountOf(first.MaxSpeedMHz),
      socket_count: amountOf(summary.Count),
    }),
  }
}

function bootModeOf(system: Plain): BootMode | undefined {
  const mode = textIn(objectIn(system.Boot).BootSourceOverrideMode)
  return mode === 'UEFI' ? 'uefi' : mode === 'Legacy' ? 'bios' : undefined
}

async function readSecureBoot(asker: Asker, system: Plain): Promise<boolean | undefined> {
  const current = textIn((await asker.linked(linkOf(system.SecureBoot), anyResource))?.SecureBootCurrentBoot)
  return current === undefined ? undefined : current === 'Enabled'
}
