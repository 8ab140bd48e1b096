/**
 * What a BMC sees of its machine's firmware at work: how far the boot has come, and whether it starts nothing unsigned.
 *
 * Source: DMTF DSP2046, ComputerSystem (BootProgress), SecureBoot (SecureBootCurrentBoot).
 */
import { Type } from 'typebox'
import type { FirmwareState } from '../bmc-interfaces.ts'
import type { NodeContext } from '../driver.ts'
import { reader } from './client.ts'
import { Text } from './maybe.ts'
import { readSystem } from './system.ts'

const secureBoot = reader('secure boot', Type.Object({ SecureBootCurrentBoot: Text }))

export async function firmwareState(ctx: NodeContext): Promise<FirmwareState> {
  const { client, system } = await readSystem(ctx)
  const path = system.SecureBoot?.['@odata.id']
  const said = path && (await client.get(path, secureBoot, { signal: ctx.signal })).resource.SecureBootCurrentBoot
  return {
    secureBoot: said === 'Enabled' ? true : said === 'Disabled' ? false : null,
    progress: system.BootProgress?.LastState ?? null,
  }
}
