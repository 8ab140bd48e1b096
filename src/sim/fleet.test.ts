/** Simulated machines over real sockets: what a BMC's client, a boot server and a conductor see of them. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { Agent, request } from 'undici'
import { entryScript, ipxeScripts } from '#boot/scripts.ts'
import { systemClock } from '#lib/clock.ts'
import type { CommandResult } from '#protocol/agent.ts'
import { Conductor, FakeService, nodeUuid, until } from './fake-service.ts'
import { Fleet } from './fleet.ts'
import { type ServedImage, serveImage } from './image-server.ts'
import type { SimMachine } from './machine.ts'
import { brisk, type Settings } from './settings.ts'

let service: FakeService
let image: ServedImage
const open: { close(): Promise<void> }[] = []

before(async () => {
  service = await FakeService.start()
  service.entry = entryScript({ url: service.url, subdir: 'pxelinux.cfg', fallback: null })
  image = await serveImage({ sizeBytes: 2 * 2 ** 20, seed: 7 })
})
after(async () => {
  await service.stop()
  await image.close()
})
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
  service.forget()
  service.script = null
  service.requests.length = 0
})

async function fleetOf(nodes: number, settings: Settings = brisk): Promise<Fleet> {
  const boot = { kind: 'scripts', url: () => `${service.url}/boot.ipxe` } as const
  const fleet = await Fleet.start({ nodes, boot, settings, clock: systemClock })
  open.push({ close: () => fleet.stop() })
  return fleet
}

/** Asks a BMC as its client does, with its account and its certificate. */
function bmcOf(fleet: Fleet, machine: SimMachine) {
  const dispatcher = new Agent({ connect: { ca: fleet.bmcCertificatePem } })
  open.push({ close: () => dispatcher.destroy() })
  const { url, username, password } = machine.bmc
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  const headers = { authorization, 'content-type': 'application/json' }
  const call = async (method: 'GET' | 'POST' | 'PATCH', path: string, json?: unknown) => {
    const body = json === undefined ? null : JSON.stringify(json)
    const answer = await request(new URL(path, url), { method, headers, dispatcher, body })
    const text = await answer.body.text()
    const parsed = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) // the emulator's own JSON objects
    return { status: answer.statusCode, body: parsed }
  }
  return {
    call,
    reset: (type: string) => call('POST', 'Systems/1/Actions/ComputerSystem.Reset', { ResetType: type }),
    bootFrom: (target: string, enabled: string) =>
      call('PATCH', 'Systems/1', { Boot: { BootSourceOverrideTarget: target, BootSourceOverrideEnabled: enabled } }),
  }
}

/** The boot script as the service writes it. */
function scriptFor(machine: SimMachine, parameters: string): FakeService['script'] {
  const [mac = ''] = machine.macs
  const files = { kernel: 'deploy_kernel', ramdisk: 'deploy_ramdisk' }
  const text = ipxeScripts.config(
    { kind: 'linux', label: 'deploy', what: 'the ramdisk', why: 'clean', ...files, parameters, bootif: true },
    { uuid: nodeUuid, url: `${service.url}/files`, path: '/files', timeoutMs: 0 },
  )
  return { mac, text }
}

/** Powers a machine on into the ramdisk; returns the conductor's side of its agent. */
async function bootedAgent(fleet: Fleet, machine: SimMachine): Promise<Conductor> {
  service.script = scriptFor(machine, `ipa-api-url=${service.url}`)
  const bmc = bmcOf(fleet, machine)
  await bmc.bootFrom('Pxe', 'Once')
  await bmc.reset('On')
  const conductor = new Conductor(await service.heartbeat())
  open.push(conductor)
  return conductor
}

const infoOf = (more: object = {}) => ({
  image_info: { id: 'an image', urls: [image.url], disk_format: 'raw', checksum: image.sha256, ...more },
})
const errorOf = (result: CommandResult) => `${result.command_error?.type}: ${result.command_error?.details}`

test('each BMC has a path of its own, and every link in its answers leads there', async () => {
  const fleet = await fleetOf(2)
  const [first, second] = fleet.machines as [SimMachine, SimMachine] // two were asked for
  assert.equal(new URL(first.bmc.url).origin, new URL(second.bmc.url).origin)
  const { call } = bmcOf(fleet, second)
  const root = await call('GET', '')
  assert.equal(root.status, 200)
  const links = JSON.stringify(root.body).match(/"@odata.id":"[^"]+"/g) ?? []
  assert.ok(links.length > 3)
  for (const link of links) assert.match(link, /"\/bmc\/sim-2\/redfish\/v1/)
  const system = await call('GET', 'Systems/1')
  assert.equal(system.body.UUID, second.facts.uuid)
  const asFirst = await request(new URL('Systems', second.bmc.url), {
    dispatcher: new Agent({ connect: { ca: fleet.bmcCertificatePem } }),
    headers: { authorization: `Basic ${Buffer.from(`admin:${first.bmc.password}`).toString('base64')}` },
  })
  assert.equal(asFirst.statusCode, 401)
  await asFirst.body.dump()
})

describe('a machine booted from the network', () => {
  test('goes through scripts, kernel and ramdisk, looks its node up and serves commands over its own TLS', async () => {
    const fleet = await fleetOf(1)
    const machine = fleet.machine('sim-1')
    const conductor = await bootedAgent(fleet, machine)
    assert.deepEqual(service.requests.slice(0, 7), [
      'GET /boot.ipxe',
      `GET /pxelinux.cfg/${machine.macs[0]?.replaceAll(':', '-')}`,
      'GET /files/deploy_kernel',
      'GET /files/deploy_ramdisk',
      'GET /',
      'GET /v1/lookup',
      'POST /v1/heartbeat/6d85703a-565d-469a-96ce-30b6de53079d',
    ])
    assert.match(service.heartbeats[0]?.callback_url ?? '', /^https:\/\/127\.0\.0\.1:\d+$/)
    assert.equal((await conductor.get('/v1/commands/', 'wrong')).status, 401)
    assert.deepEqual((await conductor.get('/v1/commands/')).body, { commands: [] })

    const steps = (await conductor.post('clean.get_clean_steps', { node: {}, ports: [] }, true)).body as CommandResult
    assert.equal(steps.command_status, 'SUCCEEDED')
    const offered = JSON.stringify(steps.command_result)
    assert.match(offered, /erase_devices_metadata.*"priority":99/)

    const done = await conductor.step('clean', 'erase_devices_metadata')
    assert.equal(done.command_status, 'SUCCEEDED')
    assert.deepEqual(done.command_result, {
      clean_result: null,
      clean_step: { interface: 'deploy', step: 'erase_devices_metadata' },
    })
    // The end of a step is told by a heartbeat.
    await service.heartbeat(2)
  })

  test('takes one command at a time, and refuses what it does not know', async () => {
    const fleet = await fleetOf(1)
    const conductor = await bootedAgent(fleet, fleet.machine('sim-1'))
    const params = { step: { interface: 'deploy', step: 'erase_devices' }, node: {}, ports: [] }
    const node = { uuid: 'x', properties: {}, instance_info: {} }
    const [first, second] = await Promise.all([
      conductor.post('clean.execute_clean_step', { ...params, node }, false),
      conductor.post('clean.execute_clean_step', { ...params, node }, false),
    ])
    assert.deepEqual([first.status, second.status].sort(), [200, 409])
    await until(() => service.heartbeats.length >= 2, 'the heartbeat after the step')
    assert.equal((await conductor.post('clean.no_such', {}, true)).status, 400)
    assert.equal((await conductor.post('nothing.known', {}, true)).status, 404)
    assert.equal((await conductor.get('/v1/commands/no-such-id')).status, 404)
    const versions = { clean_version: { generic_hardware_manager: '0.1' } }
    const mismatch = await conductor.post('clean.execute_clean_step', { ...params, node, ...versions }, true)
    assert.equal((mismatch.body as CommandResult).command_status, 'CLEAN_VERSION_MISMATCH')
  })

  test('writes what it fetched, tells how far it is, powers itself off, and boots it from disk', async () => {
    const fleet = await fleetOf(1)
    const machine = fleet.machine('sim-1')
    const conductor = await bootedAgent(fleet, machine)
    const looks: CommandResult[] = []
    const done = await conductor.step('deploy', 'write_image', { ...infoOf(), configdrive: 'QUJD' }, look =>
      looks.push(look),
    )
    assert.equal(done.command_status, 'SUCCEEDED', errorOf(done))
    const partial = looks.map(look => look.progress?.bytes ?? 0).filter(bytes => bytes > 0 && bytes < image.sizeBytes)
    assert.ok(partial.length >= 2, `progress seen: ${partial.join(', ')}`)
    assert.deepEqual(
      partial,
      partial.toSorted((a, b) => a - b),
    )
    assert.equal(machine.disk?.digest, `sha256:${image.sha256}`)
    assert.equal(machine.disk?.configDrive, 'QUJD')
    const uuids = (await conductor.post('standby.get_partition_uuids', {}, true)).body as CommandResult
    assert.deepEqual(uuids.command_result, { 'root uuid': machine.disk?.rootUuid })

    await conductor.post('standby.power_off', {}, false)
    await until(() => machine.hardware.power() === 'Off', 'power off')
    await assert.rejects(conductor.get('/v1/commands/'))

    const bmc = bmcOf(fleet, machine)
    await bmc.bootFrom('Hdd', 'Continuous')
    await bmc.reset('On')
    await until(() => machine.running === 'instance', 'the instance')
    assert.equal(machine.hardware.powerOns, 2)
    assert.equal(fleet.counters.ramdisk_boots, 1)
  })

  test('names what is wrong with an image, and leaves a disk that does not boot', async () => {
    const fleet = await fleetOf(1)
    const machine = fleet.machine('sim-1')
    const conductor = await bootedAgent(fleet, machine)
    const wrong = await conductor.step('deploy', 'write_image', infoOf({ checksum: '0'.repeat(64) }))
    assert.match(errorOf(wrong), /^ImageChecksumError: .*expected 0{64}/)
    const absent = await conductor.step('deploy', 'write_image', infoOf({ urls: [`${image.url}.gone`] }))
    assert.match(errorOf(absent), /^ImageDownloadError: .*answered 404, expected 200/)
    const unchecked = await conductor.step('deploy', 'write_image', infoOf({ checksum: null }))
    assert.match(errorOf(unchecked), /^InvalidImage: .*without a checksum/)
    assert.equal(machine.disk, null)
  })

  test('posts what it is when the kernel parameters ask for inspection, and calls nobody else', async () => {
    const fleet = await fleetOf(1)
    const machine = fleet.machine('sim-1')
    const url = `${service.url}/v1/continue_inspection`
    service.script = scriptFor(machine, `ipa-inspection-callback-url=${url}`)
    const bmc = bmcOf(fleet, machine)
    await bmc.bootFrom('Pxe', 'Once')
    await bmc.reset('On')
    await until(() => service.inspections.length > 0, 'inspection data')
    const [{ inventory, boot_interface: bootInterface } = assert.fail()] = service.inspections
    assert.deepEqual(
      inventory.interfaces.map(found => found.mac_address),
      machine.macs,
    )
    assert.equal(bootInterface, machine.macs[0])
    assert.equal(service.requests.includes('GET /v1/lookup'), false)
  })

  test('tries again while the boot server or the API is away', async () => {
    const fleet = await fleetOf(1)
    service.failures.push({ path: '/boot.ipxe', status: 503 }, { path: '/files/deploy_ramdisk', status: 500 })
    service.failures.push({ path: '/v1/lookup', status: 404 }, { path: '/v1/heartbeat', status: 409 })
    await bootedAgent(fleet, fleet.machine('sim-1'))
    assert.deepEqual(service.failures, [])
  })

  test('without a script goes on to its disk, and is stuck when that is empty', async () => {
    const fleet = await fleetOf(1)
    const machine = fleet.machine('sim-1')
    const bmc = bmcOf(fleet, machine)
    await bmc.bootFrom('Pxe', 'Once')
    await bmc.reset('On')
    await until(() => machine.running === 'stuck', 'the end of the boot')
    assert.equal((await bmc.call('GET', 'Systems/1')).body.PowerState, 'On')
  })
})

describe('faults', () => {
  test('a machine that hangs in mid-step stays on and answers nothing', async () => {
    const fleet = await fleetOf(1, { ...brisk, rate: { ...brisk.rate, agentDies: 1 } })
    const machine = fleet.machine('sim-1')
    const conductor = await bootedAgent(fleet, machine)
    await assert.rejects(conductor.step('clean', 'erase_devices'))
    assert.equal(machine.running, 'stuck')
    assert.equal(machine.hardware.power(), 'On')
  })

  test('a step fails with an error that says so', async () => {
    const fleet = await fleetOf(1, { ...brisk, rate: { ...brisk.rate, stepFails: 1 } })
    const conductor = await bootedAgent(fleet, fleet.machine('sim-1'))
    const failed = await conductor.step('clean', 'erase_devices')
    assert.match(errorOf(failed), /^CleaningError: Simulated failure of step erase_devices/)
  })

  test('a BMC is busy or silent as often as asked, at the same requests for the same seed', async () => {
    const outcomes = async (seed: number) => {
      const fleet = await fleetOf(1, { ...brisk, seed, rate: { ...brisk.rate, bmcBusy: 0.3, bmcSilent: 0.2 } })
      const { call } = bmcOf(fleet, fleet.machine('sim-1'))
      const seen: string[] = []
      for (let n = 0; n < 60; n++) {
        seen.push(
          await call('GET', 'Systems/1').then(
            answer => String(answer.status),
            () => 'broken',
          ),
        )
      }
      return seen.join(' ')
    }
    const [one, again, other] = [await outcomes(1), await outcomes(1), await outcomes(2)]
    assert.equal(one, again)
    assert.notEqual(one, other)
    const count = (word: string) => one.split(' ').filter(each => each === word).length
    assert.ok(count('503') > 6 && count('503') < 32, one)
    assert.ok(count('broken') > 2 && count('broken') < 25, one)
  })
})
