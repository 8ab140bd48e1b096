/**
 * One cell of the table: a machine of that firmware, behind a BMC of that protocol, is enrolled, cleaned by the agent,
 * which it boots by that interface, and given an instance that it boots the same way; it ends at the login prompt. Then the
 * instance goes, and the machine must be as it was.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Sections } from '#lab/service-process.ts'
import { World } from '../../test/vm/world.ts'
import { hostnameWord, makeLightSystem } from '../deploy/light-system.ts'
import { type Bmc, bmcs } from './bmcs.ts'
import { type FirmwareKind, type FirmwareName, firmwareKinds } from './firmware.ts'
import { debianLoaders } from './loaders.ts'
import type { FirmwareWay, Way } from './way.ts'

export interface Cell {
  /** As on the command line: `pxe/bios/redfish`. */
  readonly name: string
  readonly title: string
  readonly packages: readonly string[]
  readonly boot: Way
  readonly firmware: FirmwareName
  readonly bmc: string
}

/** What a cell took. */
export interface CellTimes {
  /** From "power on" to the agent's end of cleaning, in whole seconds. */
  cleanedS: number
  /** From "deploy" to the login prompt. */
  loginS: number
}

/** All cells of these ways: each kind of firmware that a way has, over each BMC protocol. */
export function cellsOf(ways: readonly Way[]): Cell[] {
  return ways.flatMap(boot =>
    Object.entries(boot.firmware).flatMap(([name, { title }]) => {
      const firmware = name as FirmwareName // the keys of a way's table
      const kind: FirmwareKind = firmwareKinds[firmware]
      const able = Object.keys(bmcs).filter(bmc => [boot.bmcs, kind.bmcs].every(some => some?.includes(bmc) ?? true))
      return able.map(bmc => ({
        name: `${boot.name}/${firmware.toLowerCase().replace('uefi, secure boot', 'secure')}/${bmc}`,
        title,
        packages: [],
        boot,
        firmware,
        bmc,
      }))
    }),
  )
}

const hostname = 'boot-cell'
/** A loader that fetches fifty megabytes by TFTP in an emulated machine takes its time. */
const limitMs = 900_000

export async function tryCell({ boot, firmware, bmc }: Cell): Promise<CellTimes> {
  const kind: FirmwareKind = firmwareKinds[firmware]
  const way: FirmwareWay | undefined = boot.firmware[firmware]
  const protocol: Bmc | undefined = bmcs[bmc]
  assert.ok(way && protocol)
  const world = await World.open({
    name: `boot-${boot.name}`,
    firmware: kind.firmware,
    machine: { memoryMb: 1280, ...kind.machine, ...way.machine },
  })
  try {
    const files = await makeLightSystem(join(world.imageFolder, 'light'))
    const loaders = await debianLoaders(join(world.imageFolder, 'loaders'))
    await world.startService(
      merged({ pxe: { loader_file_paths: loaders } }, always(boot.name), boot.config, protocol.config),
    )
    await world.enrol()
    const fields = Object.entries(protocol.node(world.machine))
    const patch = fields.map(([field, value]) => ({ op: 'add', path: `/${field}`, value }))
    // Interfaces of the driver that it had are none of the new one.
    if (patch.length > 0) await world.service.api.patch(`/v1/nodes/${world.uuid}`, patch, { reset_interfaces: 'true' })
    await world.change('/boot_interface', boot.name)
    await world.change('/deploy_interface', 'ramdisk')
    // The node is what it is; asked for of the instance alone, the agent would boot in any mode.
    await world.change('/properties/capabilities', `boot_mode:${kind.capabilities.boot_mode}`)
    await world.bring('manage', 'manageable')
    await world.service.api.create('/v1/ports', { node_uuid: world.uuid, address: world.machine.nics[0]?.mac })

    const began = performance.now()
    await world.ask('provide')
    await world.reached('available', limitMs)
    const cleanedS = seconds(began)

    await world.change('/automated_clean', false)
    await world.change('/instance_info', {
      kernel: `file://${files.kernel}`,
      ramdisk: `file://${files.ramdisk}`,
      ramdisk_kernel_arguments: hostnameWord(hostname),
      capabilities: kind.capabilities,
    })
    const from = await world.serialSize()
    const asked = performance.now()
    await world.ask('active')
    await world.reached('active', limitMs)
    await world.says(new RegExp(`^${hostname} login: `, 'm'), from, limitMs)
    const loginS = seconds(asked)
    if (kind.kernelSays) await world.says(kind.kernelSays, from, 1000)

    await world.bring('deleted', 'available')
    assert.equal((await world.status()).power, 'Off')
    return { cleanedS, loginS }
  } catch (error) {
    console.error(await world.service.lastLines(20).catch(String))
    console.error((await world.lab.serialText(world.machine.name)).text.slice(-3000))
    throw error
  } finally {
    await world.close()
  }
}

const seconds = (since: number) => Math.round((performance.now() - since) / 1000)

const always = (boot: string): Sections => ({
  DEFAULT: { enabled_boot_interfaces: boot, enabled_deploy_interfaces: 'direct,ramdisk' },
  deploy: { erase_devices_priority: 0, erase_devices_metadata_priority: 10 },
  conductor: { clean_callback_timeout: 1200, deploy_callback_timeout: 1200 },
})

function merged(...all: (Sections | undefined)[]): Sections {
  const names = new Set(all.flatMap(sections => Object.keys(sections ?? {})))
  return Object.fromEntries(
    [...names].map(name => [name, Object.assign({}, ...all.map(sections => sections?.[name] ?? {}))]),
  )
}
