/**
 * `baremetal` over simulated machines: real HTTPS to their BMCs, agents that boot from what the service gives them. The
 * client takes a machine from its BMC's address to a running instance and back, as it would take a real one.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { forClients } from '#lab/host-packages.ts'
import type { SimMachine } from '#sim/machine.ts'
import { brisk, type Settings } from '#sim/settings.ts'
import { Site } from '#sim/site.ts'
import { accessOfTests, type ClientEnvironment } from './access.ts'
import { Baremetal, type Row } from './baremetal.ts'
import { whyMissing } from './packages.ts'

const skip = await whyMissing(forClients)

describe('baremetal over simulated machines', { skip, concurrency: true }, () => {
  test('from a BMC address to an instance, to another one, and back', async () => {
    await using scene = await openScene(brisk)
    const { client, machine, site, name } = scene
    const node = await scene.enrol()
    await client.ok(`port create ${machine.macs[0]} --node ${String(node.uuid)}`)
    const rows = await client.list(`node validate ${name}`)
    assert.partialDeepStrictEqual(Object.fromEntries(rows.map(row => [row.interface, row.result])), {
      ...{ boot: true, management: true, network: true, power: true, inspect: true },
      deploy: false, // no image yet
    })

    await client.ok(`node manage ${name} --wait`)
    assert.deepEqual(await scene.state(), rests('power off', 'manageable'))

    // Power and boot device are those of the machine.
    await client.ok(`node boot device set ${name} cdrom --persistent`)
    await client.ok(`node power on ${name}`)
    await scene.isOn(true)
    await client.ok(`node reboot ${name}`)
    await client.ok(`node power off ${name}`)
    await scene.isOn(false)
    assert.partialDeepStrictEqual(await client.show(`node boot device show ${name}`), {
      boot_device: 'cdrom',
      persistent: true,
    })
    const { supported_boot_devices: devices } = await client.show(`node boot device show ${name} --supported`)
    assert.match(JSON.stringify(devices), /pxe/)

    await client.ok(`node inspect ${name} --wait 120`)
    assert.deepEqual(await scene.state(), rests('power off', 'manageable'))
    const { properties } = await client.show(`node show ${name} --fields properties`)
    assert.partialDeepStrictEqual(properties, { cpu_arch: 'x86_64' })
    // [inspector] add_ports is pxe: of a machine's NICs the one that it boots from becomes a port.
    const ports = await client.list(`port list --node ${name} --fields address pxe_enabled`)
    assert.deepEqual(ports, [{ address: machine.macs[0], pxe_enabled: true }])

    const steps = '[{"interface": "deploy", "step": "erase_devices_metadata"}]'
    await client.ok(`node clean ${name} --wait 120 --clean-steps`, steps)
    assert.deepEqual(await scene.state(), rests('power off', 'manageable'))
    await client.ok(`node provide ${name} --wait 120`)
    assert.deepEqual(await scene.state(), rests('power off', 'available'))

    const image = Object.entries(site.instanceInfo()).flatMap(pair => ['--instance-info', pair.join('=')])
    await client.ok(`node set ${name}`, ...image)
    const drive = { meta_data: { hostname: 'from-the-drive' }, user_data: '#cloud-config\n', network_data: {} }
    await client.ok(`node deploy ${name} --wait 120 --config-drive`, JSON.stringify(drive))
    assert.deepEqual(await scene.state(), rests('power on', 'active'))
    await scene.instanceRuns()
    assert.equal(machine.disk?.digest, `sha256:${site.image.sha256}`)
    const iso = gunzipSync(Buffer.from(machine.disk?.configDrive ?? '', 'base64'))
    assert.ok(iso.includes('from-the-drive') && iso.includes('#cloud-config'), 'the config drive is on the disk')

    await client.ok(`node rebuild ${name} --wait 120`)
    assert.deepEqual(await scene.state(), rests('power on', 'active'))
    await scene.instanceRuns()

    await client.ok(`node undeploy ${name} --wait 120`)
    assert.deepEqual(await scene.state(), rests('power off', 'available'))
    assert.deepEqual([machine.running, machine.disk], ['off', null])
    await client.ok(`node delete ${name}`)
  })

  test('abort ends what waits for a machine, and manage leads on', async () => {
    // The ramdisk takes so long that whatever waits for it goes on waiting.
    await using scene = await openScene({ ...brisk, delayMs: { ...brisk.delayMs, ramdisk: [600_000, 600_000] } })
    const { client, machine, site, name } = scene
    const node = await scene.enrol()
    await client.ok(`port create ${machine.macs[0]} --node ${String(node.uuid)}`)
    await client.ok(`node manage ${name} --wait`)

    await client.ok(`node inspect ${name}`)
    await scene.reaches('inspect wait')
    await client.once.fails(/inspect wait.*4\d\d/s, `node provide ${name}`)
    await client.ok(`node abort ${name}`)
    await scene.reaches('inspect failed')
    assert.match(String((await scene.state()).last_error), /abort/i)
    await client.ok(`node manage ${name} --wait`)

    await client.ok(`node provide ${name}`)
    await scene.reaches('clean wait')
    await client.once.fails(/clean wait.*400/s, `node power off ${name}`)
    await client.ok(`node abort ${name}`)
    await scene.reaches('clean failed')
    await client.ok(`node maintenance unset ${name}`)
    await client.ok(`node manage ${name} --wait`)
    await client.ok(`node set ${name} --no-automated-clean`)
    await client.ok(`node provide ${name} --wait`)

    const image = Object.entries(site.instanceInfo()).flatMap(pair => ['--instance-info', pair.join('=')])
    await client.ok(`node set ${name}`, ...image)
    await client.ok(`node deploy ${name}`)
    await scene.reaches('wait call-back')
    await client.once.fails(/409/, `node set ${name} --extra a=1`)
    // A deployment can be aborted from 1.110 on; who speaks an older version takes it back.
    const aborted = await client.run(`node abort ${name}`)
    if (aborted.status === 0) await scene.reaches('deploy failed')
    else assert.match(aborted.err, /negotiated API version/)
    await client.ok(`node undeploy ${name} --wait`)
    assert.partialDeepStrictEqual(await scene.state(), { provision_state: 'available', target_provision_state: null })
  })

  test('what is wrong is told by the command that waits for it', async () => {
    await using scene = await openScene(brisk)
    const { client, machine, site, name } = scene
    const node = await scene.enrol('--driver-info', 'redfish_password=not-it')
    const { status, err } = await client.run(`node manage ${name} --wait`)
    assert.equal(status, 1)
    assert.match(err, /enroll/)
    const { last_error: refused } = await scene.state()
    assert.match(String(refused), /password|401/)
    assert.doesNotMatch(String(refused), /not-it/)
    await client.ok(`node set ${name} --driver-info redfish_password=${machine.bmc.password}`)
    await client.ok(`node manage ${name} --wait`)
    await client.ok(`port create ${machine.macs[0]} --node ${String(node.uuid)}`)
    await client.ok(`node set ${name} --no-automated-clean`)
    await client.ok(`node provide ${name} --wait`)

    const info = { ...site.instanceInfo(), image_os_hash_value: '0'.repeat(64) }
    await client.ok(`node set ${name}`, ...Object.entries(info).flatMap(pair => ['--instance-info', pair.join('=')]))
    await client.fails(/deploy failed.*0{64}/s, `node deploy ${name} --wait 120`)
    await client.ok(`node set ${name} --instance-info image_source=${site.image.url}.gone`)
    await client.fails(/404.*400/s, `node deploy ${name}`)
    const image = Object.entries(site.instanceInfo()).flatMap(pair => ['--instance-info', pair.join('=')])
    await client.ok(`node set ${name}`, ...image)
    await client.ok(`node deploy ${name} --wait 120`)
    await scene.instanceRuns()
  })
})

function rests(power: string, provision: string): Row {
  return {
    ...{ power_state: power, provision_state: provision },
    ...{ target_provision_state: null, last_error: null, reservation: null },
  }
}

/** A site with one machine, and the client that will enrol it. */
async function openScene(settings: Settings): Promise<Scene & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-clients-'))
  await using opened = new AsyncDisposableStack()
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  const access = await accessOfTests(directory)
  const config = { ...access.config, ferrite: { poll_interval_ms: 100 } }
  const site = await Site.start({ directory, nodes: 1, settings, config })
  opened.defer(() => site.stop())
  const [machine = assert.fail('one machine was asked for')] = site.fleet.machines
  const environment = await access.environment(site.service.endpoint)
  const held = opened.move()
  return Object.assign(new Scene(site, machine, environment), { [Symbol.asyncDispose]: () => held.disposeAsync() })
}

class Scene {
  readonly site: Site
  readonly machine: SimMachine
  readonly client: Baremetal

  constructor(site: Site, machine: SimMachine, environment: ClientEnvironment) {
    this.site = site
    this.machine = machine
    this.client = new Baremetal({ endpoint: site.service.endpoint, environment })
  }

  get name(): string {
    return this.machine.name
  }

  /** @param more options that win over what the machine is like */
  enrol(...more: string[]): Promise<Row> {
    const info = Object.entries(this.site.driverInfo(this.machine)).flatMap(pair => ['--driver-info', pair.join('=')])
    const create = `node create --driver redfish --name ${this.name} --boot-interface ipxe --network-interface noop`
    return this.client.show(create, ...info, ...more)
  }

  state(): Promise<Row> {
    const fields = 'power_state provision_state target_provision_state last_error reservation'
    return this.client.show(`node show ${this.name} --fields ${fields}`)
  }

  async reaches(provision: string): Promise<void> {
    let found: unknown
    for (let left = 60; left > 0 && found !== provision; left--) found = (await this.state()).provision_state
    assert.equal(found, provision)
  }

  async isOn(on: boolean): Promise<void> {
    for (let left = 300; left > 0 && (this.machine.running !== 'off') !== on; left--) await sleep(100)
    assert.equal(this.machine.running !== 'off', on, `the machine is ${this.machine.running}`)
  }

  async instanceRuns(): Promise<void> {
    for (let left = 300; left > 0 && this.machine.running !== 'instance'; left--) await sleep(100)
    assert.equal(this.machine.running, 'instance')
  }
}
