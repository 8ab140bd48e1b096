/**
 * Hook accelerators: PCI devices that are known accelerators become the node's properties.accelerators. Which ones are
 * known says a file of [inspector] known_accelerators, else the table here.
 *
 * Source: Ironic ironic/drivers/modules/inspector/hooks/accelerators.py (behaviour restated); the ids are the vendor's.
 */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { Config } from '#config/options.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { type Hook, objectIn, objectsIn, type Plain, textIn } from './hook.ts'

const gpu = (device_id: string, device_info: string) => ({ vendor_id: '10de', device_id, type: 'GPU', device_info })

const knownDevices: readonly Readonly<Plain>[] = [
  gpu('1eb8', 'NVIDIA Corporation Tesla T4'),
  gpu('1df6', 'NVIDIA Corporation GV100GL'),
  gpu('2236', 'NVIDIA Corporation A10'),
  gpu('2235', 'NVIDIA Corporation A40'),
  gpu('26b9', 'NVIDIA Corporation L40S'),
  gpu('26ba', 'NVIDIA Corporation L20'),
]

export const accelerators: Hook = {
  checkConfig: config => void known(config),
  run({ ctx, pluginData, properties }) {
    const devices = objectsIn(pluginData.pci_devices)
    if (devices.length === 0) {
      ctx.log.warn({ node: ctx.node.uuid }, 'no PCI devices were told of, so no accelerators either')
      return
    }
    const table = known(ctx.config)
    properties.accelerators = devices.flatMap(({ vendor_id, product_id, bus }) => {
      const found = table.find(one => one.vendor_id === vendor_id && one.device_id === product_id)
      return found ? [{ ...found, pci_address: bus ?? null }] : []
    })
  },
}

/** @throws InvalidInput naming the file and what is wrong with it */
function known({ inspector }: Config): readonly Readonly<Plain>[] {
  const { known_accelerators: path } = inspector
  if (path === null) return knownDevices
  const attempt = `Cannot read [inspector] known_accelerators ${path}`
  let devices: unknown
  try {
    devices = objectIn(parse(readFileSync(path, 'utf8'))).pci_devices
  } catch (error) {
    throw new InvalidInput(`${attempt}: ${messageOf(error)}`, { cause: error })
  }
  if (!Array.isArray(devices)) throw new InvalidInput(`${attempt}: expected pci_devices to be a list`)
  const wrong = devices.findIndex(one => !(textIn(objectIn(one).vendor_id) && textIn(objectIn(one).device_id)))
  if (wrong < 0) return devices as Plain[] // objects, as just asked
  throw new InvalidInput(`${attempt}: device ${wrong + 1} lacks vendor_id or device_id; expected both, in quotes`)
}
