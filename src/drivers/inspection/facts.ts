/**
 * Hooks that take one fact of what was found into the node's properties: ramdisk-error, architecture, memory, cpus,
 * boot-mode, cpu-capabilities, pci-devices.
 *
 * Source: Ironic ironic/drivers/modules/inspector/hooks/ (the files of these names; behaviour restated).
 */
import type { Config } from '#config/options.ts'
import { InvalidInput } from '#lib/fault.ts'
import { capabilitiesOf } from '#protocol/capabilities.ts'
import { type Hook, InspectionFailed, objectIn, objectsIn, type Plain, textIn } from './hook.ts'

export const ramdiskError: Hook = {
  preprocess({ pluginData }) {
    const { error } = pluginData
    if (!error) return
    const told = typeof error === 'string' ? error : JSON.stringify(error)
    throw new InspectionFailed(`the ramdisk reports: ${told.slice(0, 2000)}`)
  },
}

export const architecture: Hook = {
  run({ ctx, inventory, properties }) {
    const { architecture: found } = objectIn(inventory.cpu)
    if (typeof found !== 'string' || !/^[\w.-]{0,64}$/.test(found)) {
      throw new InspectionFailed('the inventory has no cpu.architecture')
    }
    // A BMC that does not know: what is known already stays.
    if (found === '') ctx.log.warn({ node: ctx.node.uuid }, 'the architecture of the CPU was not found')
    else properties.cpu_arch = found
  },
}

export const memory: Hook = {
  run({ ctx, inventory, properties }) {
    const { memory } = inventory
    const { physical_mb: found } = objectIn(memory)
    if (found !== null && !(Number.isInteger(found) && Number(found) > 0)) {
      throw new InspectionFailed('the inventory has no memory.physical_mb')
    }
    // Firmware that does not tell of its modules: what is known already is better than nothing.
    if (found === null) ctx.log.warn({ node: ctx.node.uuid }, 'the size of the memory was not found')
    else properties.memory_mb = found
  },
}

export const cpus: Hook = {
  run({ ctx, inventory, properties }) {
    const count = Number(objectIn(inventory.cpu).count ?? 0)
    if (Number.isInteger(count) && count > 0) properties.cpus = count
    else ctx.log.warn({ node: ctx.node.uuid }, 'the number of CPUs was not found')
  },
}

export const bootMode: Hook = {
  run({ ctx, inventory, properties }) {
    const { current_boot_mode: found } = objectIn(inventory.boot)
    if (found === 'uefi' || found === 'bios') setCapabilities(properties, { boot_mode: found })
    else ctx.log.warn({ node: ctx.node.uuid }, 'the boot mode was not found')
  },
}

export const cpuCapabilities: Hook = {
  run({ ctx, inventory, properties }) {
    const { flags } = objectIn(inventory.cpu)
    if (!Array.isArray(flags) || flags.length === 0) {
      ctx.log.warn({ node: ctx.node.uuid }, 'the flags of the CPU were not found')
      return
    }
    const known = Object.entries(ctx.config.inspector.cpu_capabilities).filter(([flag]) => flags.includes(flag))
    setCapabilities(properties, Object.fromEntries(known.map(([, name]) => [name, 'true'])))
  },
}

export const pciDevices: Hook = {
  checkConfig: config => void pciAliases(config),
  run({ ctx, pluginData, properties }) {
    const names = pciAliases(ctx.config)
    if (!('pci_devices' in pluginData)) {
      if (names.size > 0) ctx.log.warn({ node: ctx.node.uuid }, 'no PCI devices were told of')
      return
    }
    const counts: Record<string, string> = {}
    for (const { vendor_id, product_id } of objectsIn(pluginData.pci_devices)) {
      const name = names.get(`${vendor_id}:${product_id}`)
      if (name !== undefined) counts[name] = String(Number(counts[name] ?? 0) + 1)
    }
    if (Object.keys(counts).length > 0) setCapabilities(properties, counts)
  },
}

/** Names by `vendor:product`. @throws InvalidInput */
function pciAliases({ inspector }: Config): Map<string, string> {
  return new Map(
    inspector.pci_device_alias.map(text => {
      const { vendor_id, product_id, name, ...others } = objectIn(parsed(text))
      const fits = [vendor_id, product_id, name].every(one => textIn(one) !== undefined)
      if (fits && Object.keys(others).length === 0) return [`${vendor_id}:${product_id}`, String(name)] as const
      throw new InvalidInput(
        `Cannot read [inspector] pci_device_alias: found ${text.slice(0, 200)}, expected a JSON object with the texts vendor_id, product_id and name`,
      )
    }),
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Adds to the capabilities that are there, as the text that they are kept as. */
export function setCapabilities(properties: Plain, more: Readonly<Record<string, string>>): void {
  const all = { ...capabilitiesOf(properties.capabilities), ...more }
  const text = Object.entries(all).map(([name, value]) => `${name}:${value}`)
  if (text.length > 0) properties.capabilities = text.join(',')
}
