/**
 * Secure boot of a machine: switched on and off, its keys put back to the factory's or cleared. What firmware shows only
 * after a start is started for.
 *
 * Source: DMTF DSP2046, SecureBoot; ironic/drivers/modules/redfish/management.py (restated).
 */
import { Type } from 'typebox'
import { type NodeContext, Unsupported } from '../driver.ts'
import { reader } from './client.ts'
import { Action, Maybe, Text } from './maybe.ts'
import { restartUntil } from './restart-until.ts'
import { readSystem } from './system.ts'

const secureBoot = reader(
  'secure boot',
  Type.Object({
    SecureBootEnable: Maybe(Type.Boolean()),
    SecureBootCurrentBoot: Text,
    Actions: Maybe(Type.Object({ '#SecureBoot.ResetKeys': Action })),
  }),
)

/** @throws Unsupported when the BMC has no such switch, or the machine starts in BIOS mode */
export async function setSecureBoot(ctx: NodeContext, enabled: boolean): Promise<void> {
  const { client, path, resource, etag, mode } = await read(ctx)
  if (resource.SecureBootEnable === enabled) return
  if (enabled && mode === 'Legacy') {
    throw new Unsupported(
      `Cannot switch secure boot on at ${client.origin}: the machine starts in BIOS mode, expected UEFI`,
    )
  }
  await client.patch(path, { SecureBootEnable: enabled }, { signal: ctx.signal, etag })
  const isThere = async () => (await read(ctx)).resource.SecureBootEnable === enabled
  await restartUntil(ctx, `secure boot ${enabled ? 'on' : 'off'}`, isThere)
}

export type KeyReset = 'ResetAllKeysToDefault' | 'DeleteAllKeys'

/** @throws Unsupported when the BMC cannot change keys */
export async function resetKeys(ctx: NodeContext, how: KeyReset): Promise<void> {
  const { client, resource } = await read(ctx)
  const target = resource.Actions?.['#SecureBoot.ResetKeys']?.target
  if (target === undefined) {
    throw new Unsupported(`Cannot change secure boot keys at ${client.origin}: its BMC has no SecureBoot.ResetKeys`)
  }
  await client.post(target, { ResetKeysType: how }, ctx.signal)
}

async function read(ctx: NodeContext) {
  const { client, system, path: systemPath } = await readSystem(ctx)
  const path = system.SecureBoot?.['@odata.id']
  if (path === undefined) {
    throw new Unsupported(`Cannot change secure boot of ${systemPath} at ${client.origin}: its BMC does not offer it`)
  }
  const { resource, etag } = await client.get(path, secureBoot, { signal: ctx.signal, fresh: true })
  return { client, path, resource, etag, mode: system.Boot?.BootSourceOverrideMode }
}
