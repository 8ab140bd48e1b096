/**
 * What goes wrong between power-on and the end of a write, on a real machine: what the operator reads, where the node
 * rests, and that it works once the cause is gone. Needs root and QEMU.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { bootMessage, type DiskImage, hashOfStart, makeImage } from './disk-image.ts'
import { World } from './world.ts'

/** How long an agent may stay silent where it is to stay silent. */
const silenceS = 20
const strange = '52:54:00:00:de:ad'

describe('a machine with something wrong', () => {
  let world: World
  let image: DiskImage
  let mac: string
  let port: string

  before(async () => {
    world = await World.open({
      name: 'trouble',
      firmware: 'bios',
      config: { conductor: { deploy_callback_timeout: silenceS, inspect_wait_timeout: silenceS } },
    })
    image = await makeImage(join(world.imageFolder, 'large.raw'), 'LARGE', 768, 768)
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
    assert.equal((await world.status()).power, 'Off')
  })

  it('fails to be deployed when its cable is pulled', async () => {
    await world.bring('manage', 'manageable')
    await world.change('/automated_clean', false)
    await world.bring('provide', 'available')
    await world.chooseImage(image)
    await world.lab.fault(world.machine.name, 'link-down')
    const { last_error, reservation } = await world.bring('active', 'deploy failed')
    assert.match(String(last_error), noDhcp(mac))
    const why = await world.service.api.get(`/v1/nodes/${world.uuid}/why`)
    assert.deepEqual([why.verdict, why.cause], ['failed', 'no-dhcp'])
    assert.deepEqual([reservation, (await world.status()).power], [null, 'Off'])
  })

  it('fails to be deployed when its port has the MAC address of another', async () => {
    const query = { node: world.uuid }
    const [found] = await world.service.api.list('/v1/ports', 'ports', { query, limit: undefined })
    assert.equal(found?.address, mac, 'inspection made it')
    port = `/v1/ports/${found?.uuid}`
    await world.service.api.patch(port, [{ op: 'replace', path: '/address', value: strange }])
    const { last_error } = await world.bring('active', 'deploy failed')
    assert.match(String(last_error), noDhcp(strange))
    assert.match(String(last_error), /the port has the wrong MAC address/)
    assert.equal((await world.status()).power, 'Off')
    await world.service.api.patch(port, [{ op: 'replace', path: '/address', value: mac }])
  })

  it('fails soon when it loses power in mid-write, and is deployed by the next attempt', async t => {
    await world.startService({ conductor: { deploy_callback_timeout: 600 } })
    await world.ask('active')
    await world.seen('a write', node => {
      const { progress } = node.driver_internal_info as { progress?: { phase: string; bytes: number } | null } // ProgressView
      return progress?.phase === 'write' && progress.bytes > 0
    })
    const began = performance.now()
    await world.lab.fault(world.machine.name, 'kill')
    await world.seen('a machine without power', (_, { power, counters }) => power === 'Off' && counters.crashes === 1)
    const { last_error } = await world.reached('deploy failed', 120_000)
    t.diagnostic(`noticed after ${((performance.now() - began) / 1000).toFixed(1)} s: ${last_error}`)
    assert.match(String(last_error), /^The agent stopped answering while it ran step deploy\.write_image: /)
    assert.notEqual(
      await hashOfStart(world.disk, 512),
      await hashOfStart(image.file, 512),
      'half an image does not boot',
    )

    const from = await world.serialSize()
    const node = await world.bring('active', 'active')
    assert.equal(node.last_error, null)
    await world.says(bootMessage('LARGE'), from)
    assert.equal(await hashOfStart(world.disk, image.sizeBytes), image.sha256)
  })
})

/** What is said of a machine of which not even a DHCP request was seen. */
const noDhcp = (address: string) => new RegExp(`No DHCP request of MAC address ${address} reached interface br0`)
