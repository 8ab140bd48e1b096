/** The whole path with the real agent and a real block device: every byte that should be on the disk is there. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { needsRoot } from '#agent/loop-disk.ts'
import { startFakeImageServer } from '../src/images/fake-image-server.ts'
import { Bench, type Node } from './faults/bench.ts'
import { instanceInfo, liesOn, rawImage } from './faults/images.ts'

const mib = 2 ** 20
/** Where an MBR lists its partitions. */
const mbrTable = [446, 510] as const

test('inspect, clean, deploy with a config drive, rebuild, undeploy', { skip: needsRoot }, async t => {
  const first = rawImage({ sizeMib: 16, label: 'dos' })
  const second = rawImage({ sizeMib: 32, label: 'gpt' })
  const server = await startFakeImageServer({ 'first.raw': first, 'second.raw': second })
  const bench = await Bench.open()
  t.after(async () => {
    await bench.close()
    await server[Symbol.asyncDispose]()
  })
  const machine = await bench.plug('whole')
  await bench.api.create('/v1/nodes', {
    name: 'whole',
    driver: 'redfish',
    driver_info: bench.driverInfo(machine),
    boot_interface: 'ipxe',
    network_interface: 'noop',
    automated_clean: true,
  })
  const partitions = () =>
    execFileSync('lsblk', ['-nrbo', 'NAME', machine.disk.device]).toString().trim().split('\n').slice(1)

  await bench.bring(machine, 'manage', 'manageable')
  await bench.bring(machine, 'inspect', 'manageable')
  const { ports } = await bench.api.get('/v1/ports', { node: 'whole', fields: 'address,pxe_enabled' })
  assert.partialDeepStrictEqual(ports, [{ address: machine.mac, pxe_enabled: true }])
  assert.equal(machine.running, 'off')
  await bench.bring(machine, 'provide', 'available')

  await bench.set(machine, '/instance_info', instanceInfo(`${server.url}/slow/first.raw`, first))
  const looks: Node[] = []
  await bench.ask(machine, 'active', { configdrive: { meta_data: { hostname: 'from-the-drive' } } })
  const active = await bench.reached(machine, 'active', node => looks.push(node))
  assert.equal(active.power_state, 'power on')
  await bench.until('the instance runs', () => machine.running === 'instance')
  const written = machine.readDisk(first.length)
  const [from, to] = mbrTable
  assert.ok(written.subarray(0, from).equals(first.subarray(0, from)))
  assert.ok(written.subarray(to).equals(first.subarray(to)))
  assert.equal(partitions().length, 3)
  const drive = `/dev/${partitions().at(-1)}`
  assert.equal(execFileSync('blkid', ['-p', '-o', 'value', '-s', 'LABEL', drive]).toString().trim(), 'config-2')
  assert.ok(looks.some(node => JSON.stringify(node.driver_internal_info).includes(`"total_bytes":${first.length}`)))

  await bench.set(machine, '/instance_info', instanceInfo(`${server.url}/plain/second.raw`, second))
  await bench.bring(machine, 'rebuild', 'active')
  await bench.until('the instance runs', () => machine.running === 'instance')
  assert.ok(liesOn(machine.readDisk(second.length), second))
  assert.equal(partitions().length, 2)
  assert.equal(await machine.bootParameters(), null)

  await bench.bring(machine, 'deleted', 'available')
  assert.equal(machine.running, 'off')
  assert.ok(machine.readDisk(mib).every(byte => byte === 0))
  assert.deepEqual(partitions(), [])
  assert.equal(execFileSync('wipefs', ['--noheadings', machine.disk.device]).toString(), '')
  assert.deepEqual(await bench.leftovers(machine), [])
  await bench.checkSecrets()
})
