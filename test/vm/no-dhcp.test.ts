/**
 * The cheapest of what goes wrong before an agent runs, on a real machine: what the operator reads, and where the node
 * rests. Needs root and QEMU; the others are in `npm run interop:why`.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { World } from './world.ts'

/** How long an agent may stay silent where it is to stay silent. */
const silenceS = 20

describe('a machine with something wrong', () => {
  let world: World
  let mac: string

  before(async () => {
    world = await World.open({
      name: 'trouble',
      firmware: 'bios',
      config: { conductor: { inspect_wait_timeout: silenceS } },
    })
    mac = world.machine.nics[0]?.mac ?? ''
  })
  after(() => world?.close())
  afterEach(() => world.lab.fault(world.machine.name, 'clear'))

  it('is not manageable while its BMC refuses connections', async () => {
    await world.enrol()
    await world.lab.fault(world.machine.name, 'bmc-down')
    const { last_error, power_state } = await world.bring('manage', 'enroll')
    assert.match(String(last_error), new RegExp(`${world.machine.bmc.url} .*the connection was refused`))
    assert.equal(power_state, null)
  })

  it('is not manageable with a wrong password, which no message shows', async () => {
    await world.change('/driver_info/redfish_password', 'not-this-one')
    const { last_error } = await world.bring('manage', 'enroll')
    assert.match(String(last_error), new RegExp(`${world.machine.bmc.url}`))
    assert.match(String(last_error), /user ?name|password|credentials/i)
    assert.doesNotMatch(String(last_error), /not-this-one/)
    await world.change('/driver_info/redfish_password', world.machine.bmc.password)
    const node = await world.bring('manage', 'manageable')
    assert.equal(node.last_error, null)
  })

  it('fails to be inspected when its cable is pulled', async () => {
    await world.lab.fault(world.machine.name, 'link-down')
    const { last_error } = await world.bring('inspect', 'inspect failed')
    assert.match(String(last_error), noDhcp(mac))
    const why = await world.service.api.get(`/v1/nodes/${world.uuid}/why`)
    assert.deepEqual([why.verdict, why.cause], ['failed', 'link-down'])
    assert.equal((await world.status()).power, 'Off')
  })
})

/** What is said of a machine of which not even a DHCP request was seen. */
const noDhcp = (address: string) => new RegExp(`No DHCP request of MAC address ${address} reached interface br0`)
