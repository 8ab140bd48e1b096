/** Debian's Ironic and ironic-inspector work with our agent: inspection in band, cleaning, deployment, tear down. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { buildDebianImage } from '#lab/debian-image.ts'
import { labUp } from '#lab/lab.ts'
import { driverInfoOf } from '#lab/service.ts'
import { buildRamdisk } from '#ramdisk/build.ts'
import { bootLimitMs } from '../../../test/vm/world.ts'
import { PlaceInLab } from '../../deploy/place-in-lab.ts'
import { holdsPartitions, writePartitionTable } from '../disk.ts'
import { forIronic, type StockIronic, startIronic } from '../ironic.ts'
import { Operator } from '../operator.ts'
import type { Scenario } from '../scenario.ts'

const log = (line: string) => console.log(line)

async function run(): Promise<readonly string[]> {
  const image = await buildDebianImage({ log })
  const ramdisk = await buildRamdisk({ log })
  await using opened = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-stock-ironic-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  const lab = await labUp({
    name: 'stock-ironic',
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
  const ironic = await startIronic(place, { network: lab.state.network, ramdisk })
  const [machine] = lab.state.machines
  const [disk] = machine?.disks ?? []
  assert.ok(machine && disk)
  await symlink(image.raw, join(ironic.imageFolder, basename(image.raw)))

  const driver_info = driverInfoOf(machine)
  const node = { name: machine.name, driver: 'redfish', driver_info }
  const operator = await Operator.enrol(ironic.api, node, machine.nics[0]?.mac)
  try {
    const notes = [`Ironic ${ironic.version}`]
    await operator.bring('manage', 'manageable')

    const inspected = await operator.bring('inspect', 'manageable')
    // Each is what the lab gave the machine; memory is counted by the inspector in whole MiB of what SMBIOS tells.
    const { cpus, memory_mb, local_gb, cpu_arch } = inspected.node.properties as Record<string, unknown> // as all Ironics have it
    assert.deepEqual(
      { cpus: Number(cpus), memory_mb: Number(memory_mb), local_gb: Number(local_gb), cpu_arch },
      { cpus: machine.cpus, memory_mb: machine.memory_mb, local_gb: disk.size_bytes / 2 ** 30 - 1, cpu_arch: 'x86_64' },
    )
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

async function explain(ironic: StockIronic, console_: string): Promise<void> {
  console.error(await ironic.lastLines())
  console.error(`the machine's console:\n${console_.slice(-6000)}`)
}

export default {
  name: 'stock-ironic',
  title: "Debian's ironic and ironic-inspector, unmodified, with our agent",
  packages: forIronic,
  run,
} satisfies Scenario
