/**
 * Parts of a machine that have firmware: BIOS, BMC, network cards, as its BMC tells them. Read only.
 *
 * Source: cleaning facts, "Firmware" (names of components; ironic/drivers/modules/redfish/firmware.py restated); DMTF
 * DSP2046, ComputerSystem, Manager, NetworkAdapter.
 */
import type { FirmwareComponent } from '#protocol/firmware.ts'
import type { NodeContext } from '../driver.ts'
import { objectIn, textIn } from '../inspection/hook.ts'
import { Asker } from './asker.ts'
import { anyResource, linkOf, listOf, membersOf } from './inspect-resource.ts'
import { managersOf, readSystem } from './system.ts'

export async function readComponents(ctx: NodeContext): Promise<FirmwareComponent[]> {
  const located = await readSystem(ctx, { fresh: true })
  const { client, system } = located
  const asker = new Asker(client, ctx.signal)
  const found: FirmwareComponent[] = []
  const maker = { vendor: system.Manufacturer ?? null, model: system.Model ?? null, serial_number: null }
  if (system.BiosVersion) found.push({ component: 'bios', current_version: system.BiosVersion, ...maker })
  for (const path of await managersOf(located, asker)) {
    const manager = await asker.get(path, anyResource)
    const version = textIn(manager?.FirmwareVersion)
    if (version === undefined) continue
    found.push({
      component: 'bmc',
      current_version: version,
      vendor: textIn(manager?.Manufacturer) ?? null,
      model: textIn(manager?.Model) ?? null,
      serial_number: textIn(manager?.SerialNumber) ?? null,
    })
    break
  }
  for (const link of system.Links?.Chassis ?? []) {
    const chassis = await asker.get(link['@odata.id'], anyResource)
    for (const adapter of await membersOf(asker, linkOf(chassis?.NetworkAdapters))) {
      const versions = listOf(adapter.Controllers).map(one => textIn(objectIn(one).FirmwarePackageVersion))
      const version = versions.find(one => one !== undefined)
      const id = textIn(adapter.Id)
      if (version === undefined || id === undefined) continue
      found.push({
        component: `nic:${id}`,
        current_version: version,
        vendor: textIn(adapter.Manufacturer) ?? null,
        model: textIn(adapter.Model) ?? null,
        serial_number: textIn(adapter.SerialNumber) ?? null,
      })
    }
  }
  return found
}
