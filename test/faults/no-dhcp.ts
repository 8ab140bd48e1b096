/**
 * To be run in a network namespace of its own that has an interface `lan0`: Ferrite's own DHCP server waits there for a
 * machine whose port has a wrong MAC address, so that no request of it ever comes. Ends with 0 when the node says so and
 * goes on once the address is right.
 */
import assert from 'node:assert/strict'
import { startFakeImageServer } from '../../src/images/fake-image-server.ts'
import { Bench } from './bench.ts'
import { instanceInfo, liesOn, rawImage } from './images.ts'

const image = rawImage({ sizeMib: 16, label: 'gpt' })
const wrongMac = '52:54:00:ff:ff:ff'
const callbackTimeoutS = 10

await using server = await startFakeImageServer({ 'disk.raw': image })
const bench = await Bench.open({
  conductor: { deploy_callback_timeout: callbackTimeoutS },
  ferrite: { manage_dnsmasq: true, dhcp_interface: 'lan0', dhcp_range: '192.0.2.100,192.0.2.150,1h' },
})
try {
  const machine = await bench.enrol('unheard')
  await bench.bring(machine, 'manage', 'manageable')
  await bench.bring(machine, 'provide', 'available')
  await bench.set(machine, '/instance_info', instanceInfo(`${server.url}/plain/disk.raw`, image))
  const { ports } = await bench.api.get('/v1/ports', { node: machine.name })
  const [port] = ports as { uuid: string }[] // as served
  const address = async (value: string) => {
    await bench.api.patch(`/v1/ports/${port?.uuid}`, [{ op: 'replace', path: '/address', value }])
  }

  await address(wrongMac)
  await bench.ask(machine, 'active')
  const node = await bench.reached(machine, 'deploy failed')
  assert.match(
    String(node.last_error),
    new RegExp(
      `did not call within ${callbackTimeoutS} s .*No DHCP request of .*${wrongMac} reached interface lan0: .*wrong`,
    ),
  )
  const why = await bench.api.get(`/v1/nodes/${machine.name}/why`)
  assert.deepEqual([why.verdict, why.cause], ['failed', 'wrong-port-address'])
  assert.deepEqual([node.power_state, machine.running, machine.hardware.powerOns], ['power off', 'off', 1])

  await address(machine.mac)
  await bench.bring(machine, 'active', 'active')
  assert.ok(liesOn(machine.readDisk(image.length), image))
} finally {
  await bench.close()
}
