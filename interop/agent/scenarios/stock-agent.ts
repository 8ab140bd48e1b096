/** Our conductor works with the newest stock agent: inspection, cleaning, deployment, tear down; the disk is compared. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { forRamdisk } from '#lab/host-packages.ts'
import { labUp } from '#lab/lab.ts'
import { driverInfoOf, LabService } from '#lab/service.ts'
import type { Inventory } from '#protocol/agent.ts'
import { bootMessage, hashOfStart, instanceInfoOf, makeImage } from '../../../test/vm/disk-image.ts'
import { bootLimitMs } from '../../../test/vm/world.ts'
import { holdsPartitions, writePartitionTable } from '../disk.ts'
import { Operator } from '../operator.ts'
import type { Scenario } from '../scenario.ts'
import { buildStockRamdisk } from '../stock-ramdisk.ts'

const log = (line: string) => console.log(line)

async function run(): Promise<readonly string[]> {
  await using opened = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-stock-agent-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  const ramdisk = await buildStockRamdisk(join(directory, 'ramdisk'), log)
  const lab = await labUp({
    name: 'stock-agent',
    directory: join(directory, 'lab'),
    attached: true,
    // What it writes after the start of the disk shows that it was the image: this one boots with a BIOS only.
    firmware: 'bios',
    memoryMb: 2048,
    disks: [{ sizeGib: 4 }],
    powerDelayMs: 300,
    log,
  })
  opened.defer(() => lab.down())
  const image = await makeImage(join(directory, 'image.raw'), 'stock', 256)
  const service = await LabService.start({ lab, ramdisk, imageFolders: [directory] })
  opened.defer(() => service.stop())
  const [machine] = lab.state.machines
  const [disk] = machine?.disks ?? []
  assert.ok(machine && disk)

  const node = { name: machine.name, driver: 'redfish', driver_info: driverInfoOf(machine) }
  const operator = await Operator.enrol(service.api, node, machine.nics[0]?.mac)
  try {
    const notes = [`ironic-python-agent ${ramdisk.version}`]
    await operator.bring('manage', 'manageable')

    const inspected = await operator.bring('inspect', 'manageable')
    const { cpu_arch } = inspected.node.properties as Record<string, unknown> // as all Ironics have it
    const found = await service.api.get(`/v1/nodes/${operator.uuid}/inventory`)
    const { memory, disks, interfaces } = found.inventory as Inventory // as the stock agent makes it
    const told = {
      ...{ cpu_arch, memory: memory.physical_mb, disks: disks.map(({ size }) => size) },
      interfaces: interfaces.map(({ mac_address }) => mac_address),
    }
    assert.deepEqual(told, {
      ...{ cpu_arch: 'x86_64', memory: machine.memory_mb, disks: [disk.size_bytes] },
      interfaces: machine.nics.map(({ mac }) => mac),
    })
    notes.push(`inspected in ${inspected.seconds} s`)

    await writePartitionTable(disk.file)
    assert.equal(await holdsPartitions(disk.file), true)
    const cleaned = await operator.bring('provide', 'available')
    assert.equal(await holdsPartitions(disk.file), false, 'cleaning removed the partition table')
    notes.push(`cleaned in ${cleaned.seconds} s`)

    await operator.change('/instance_info', instanceInfoOf(image))
    const from = await lab.serialSize(machine.name)
    const deployed = await operator.bring('active', 'active')
    await lab.waitForSerial(machine.name, bootMessage('stock'), { from, timeoutMs: bootLimitMs })
    assert.equal(await hashOfStart(disk.file, image.sizeBytes), image.sha256, 'the disk begins with the image')
    notes.push(`deployed in ${deployed.seconds} s, disk compared, instance boots`)
    const { agent_version } = deployed.node.driver_internal_info as Record<string, unknown> // as all Ironics have it
    assert.equal(agent_version, ramdisk.version, 'the agent was the stock one')

    const gone = await operator.bring('deleted', 'available')
    assert.equal(await holdsPartitions(disk.file), false, 'the instance is gone from the disk')
    notes.push(`torn down and cleaned in ${gone.seconds} s`)
    return notes
  } catch (error) {
    console.error(await service.lastLines(40))
    console.error(`the machine's console:\n${(await lab.serialText(machine.name)).text.slice(-6000)}`)
    throw error
  }
}

export default {
  name: 'stock-agent',
  title: 'the newest ironic-python-agent, unmodified, with our conductor',
  packages: forRamdisk,
  run,
} satisfies Scenario
