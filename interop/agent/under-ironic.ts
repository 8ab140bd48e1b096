/** A stock Ironic works with our agent: inspection in band, cleaning, deployment until the login prompt, tear down. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { buildDebianImage } from '#lab/debian-image.ts'
import { labUp } from '#lab/lab.ts'
import { driverInfoOf } from '#lab/service.ts'
import type { Inventory } from '#protocol/agent.ts'
import { buildRamdisk } from '#ramdisk/build.ts'
import { bootLimitMs } from '../../test/vm/world.ts'
import { PlaceInLab } from '../deploy/place-in-lab.ts'
import { holdsPartitions, writePartitionTable } from './disk.ts'
import type { IronicEdition } from './editions.ts'
import { type StockIronic, startIronic } from './ironic.ts'
import { type Node, Operator } from './operator.ts'

const log = (line: string) => console.log(line)

interface Found {
  cpus: number
  memory_mb: number
  local_gb: number
  cpu_arch: unknown
}

/**
 * @param edition makes the Ironic; it may use the directory, which goes with the run
 * @returns what belongs in the scenario's line of the table
 */
export async function workUnder(
  name: string,
  edition: (directory: string) => Promise<IronicEdition>,
): Promise<readonly string[]> {
  const image = await buildDebianImage({ log })
  const ramdisk = await buildRamdisk({ log })
  await using opened = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), `ferrite-${name}-`))
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  const chosen = await edition(join(directory, 'edition'))
  const lab = await labUp({
    name,
    directory: join(directory, 'lab'),
    attached: true,
    memoryMb: 1024,
    disks: [{ sizeGib: 4 }],
    powerDelayMs: 300,
    log,
  })
  opened.defer(() => lab.down())
  const place = new PlaceInLab(lab, directory)
  opened.defer(() => place.close())
  const ironic = await startIronic(place, { network: lab.state.network, ramdisk, edition: chosen })
  const [machine] = lab.state.machines
  const [disk] = machine?.disks ?? []
  assert.ok(machine && disk)
  await symlink(image.raw, join(ironic.imageFolder, basename(image.raw)))

  const driver_info = driverInfoOf(machine)
  const node = { name: machine.name, driver: 'redfish', driver_info }
  const operator = await Operator.enrol(ironic.api, node, machine.nics[0]?.mac)
  try {
    const notes = [`Ironic ${chosen.version}`]
    await operator.bring('manage', 'manageable')

    const inspected = await operator.bring('inspect', 'manageable')
    const found = chosen.inspect === 'agent' ? await inventoryOf(ironic, operator.uuid) : propertiesOf(inspected.node)
    // Of a disk the inspector leaves a GiB to what is not the root partition.
    const local_gb = disk.size_bytes / 2 ** 30 - (chosen.inspect === 'agent' ? 0 : 1)
    const { cpus, memory_mb } = machine
    assert.deepEqual(found, { cpus, memory_mb, local_gb, cpu_arch: 'x86_64' })
    notes.push(`inspected in ${inspected.seconds} s`)

    await writePartitionTable(disk.file)
    assert.equal(await holdsPartitions(disk.file), true)
    const cleaned = await operator.bring('provide', 'available')
    assert.equal(await holdsPartitions(disk.file), false, 'cleaning removed the partition table')
    notes.push(`cleaned in ${cleaned.seconds} s`)

    const { sha256, file } = image.manifest.raw
    await operator.change('/instance_info', {
      image_source: `${ironic.imagesUrl}/${file}`,
      image_os_hash_algo: 'sha256',
      image_os_hash_value: sha256,
      image_disk_format: 'raw',
      root_gb: 2,
    })
    const from = await lab.serialSize(machine.name)
    const deployed = await operator.bring('active', 'active', { configdrive: { meta_data: { hostname: 'stock-1' } } })
    await lab.waitForSerial(machine.name, /^stock-1 login: /m, { from, timeoutMs: bootLimitMs })
    notes.push(`deployed in ${deployed.seconds} s, login prompt shown`)
    const { agent_version } = deployed.node.driver_internal_info as Record<string, unknown> // as all Ironics have it
    assert.match(String(agent_version), /ferrite/, 'the agent was ours')

    const gone = await operator.bring('deleted', 'available')
    assert.equal(await holdsPartitions(disk.file), false, 'the instance is gone from the disk')
    notes.push(`torn down and cleaned in ${gone.seconds} s`)
    return notes
  } catch (error) {
    await explain(ironic, (await lab.serialText(machine.name)).text)
    throw error
  }
}

/** What Ironic itself keeps of an inspection. */
async function inventoryOf({ api }: StockIronic, uuid: string): Promise<Found> {
  const { inventory } = (await api.get(`/v1/nodes/${uuid}/inventory`)) as unknown as { inventory: Inventory } // our agent's
  const { cpu, memory, disks } = inventory
  const local_gb = (disks[0]?.size ?? 0) / 2 ** 30
  return { cpus: cpu.count, memory_mb: memory.physical_mb ?? 0, local_gb, cpu_arch: cpu.architecture }
}

/** What the inspector makes of it. */
function propertiesOf({ properties }: Node): Found {
  const { cpus, memory_mb, local_gb, cpu_arch } = properties as Record<string, unknown> // as all Ironics have it
  return { cpus: Number(cpus), memory_mb: Number(memory_mb), local_gb: Number(local_gb), cpu_arch }
}

async function explain(ironic: StockIronic, console_: string): Promise<void> {
  console.error(await ironic.lastLines())
  console.error(`the machine's console:\n${console_.slice(-6000)}`)
}
