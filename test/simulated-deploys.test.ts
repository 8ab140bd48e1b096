/**
 * Deploy interfaces other than `direct`, by the real service as a child process over simulated machines: what boots, what
 * their BMCs and agents saw of it, and that nothing of it depends on one life of the service.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SimMachine } from '../src/sim/machine.ts'
import { brisk } from '../src/sim/settings.ts'
import { openSite } from './simulated-site.ts'

let operator: Awaited<ReturnType<typeof openSite>>
/** Of each machine. */
const deployInterfaces = ['ramdisk', 'ramdisk', 'ramdisk', 'custom-agent', 'autodetect', 'bootc', 'custom-agent']
const uuids: string[] = []
let directory: string

before(async () => {
  const config = { DEFAULT: { enabled_deploy_interfaces: 'autodetect,direct,ramdisk,bootc,custom-agent' } }
  operator = await openSite({ nodes: deployInterfaces.length, settings: brisk, config })
  directory = operator.site.directory
  await writeFile(join(directory, 'boot/live.iso'), 'an ISO')
  const made = deployInterfaces.map((name, index) => available(operator.machineNo(index), name))
  uuids.push(...(await Promise.all(made)))
})
after(() => operator[Symbol.asyncDispose]())

/** A machine that waits for an instance by this deploy interface; cleaned only on the way back. */
async function available(machine: SimMachine, deploy_interface: string): Promise<string> {
  const node_uuid = await operator.enrol(machine)
  await operator.patch(machine, { '/automated_clean': false, '/deploy_interface': deploy_interface })
  await operator.go(machine, 'manage', 'manageable')
  await operator.go(machine, 'provide', 'available')
  await operator.patch(machine, { '/automated_clean': true })
  return node_uuid
}

const filesOf = (index: number) => join(directory, 'state/httpboot', uuids[index] ?? '')
async function linksOf(machine: SimMachine): Promise<string[]> {
  const links = await readdir(join(directory, 'state/httpboot/pxelinux.cfg'))
  return links.filter(link => machine.macs.some(mac => mac.replaceAll(':', '-') === link))
}

describe('deploy interfaces', { concurrency: true }, () => {
  test('ramdisk: the instance boots at once from the network, again after a reboot, rescue-less service and rebuild', async () => {
    const machine = operator.machineNo(0)
    const { deploy_kernel: kernel, deploy_ramdisk: ramdisk } = operator.site.driverInfo(machine)
    await operator.patch(machine, { '/instance_info': { kernel, ramdisk, ramdisk_kernel_arguments: 'role=lamp' } })
    const node = await operator.go(machine, 'active', 'active')
    await operator.instanceRuns(machine)
    assert.deepEqual([node.power_state, node.last_error, node.deploy_step], ['power on', null, {}])
    assert.equal(machine.hardware.powerOns, 1)
    const booted = () => (machine.instance?.kind === 'kernel' ? machine.instance.parameters.get('role') : null)
    assert.equal(booted(), 'lamp')
    assert.deepEqual(operator.record.steps(machine), [])

    // Rebooted by its owner, it starts again.
    await operator.site.service.api.put(`/v1/nodes/${machine.name}/states/power`, { target: 'rebooting' })
    await runsAnew(machine, 2)

    // Servicing boots the agent's ramdisk, and the instance afterwards.
    await operator.go(machine, 'service', 'active', { service_steps: [{ interface: 'deploy', step: 'burnin_memory' }] })
    await operator.instanceRuns(machine)
    assert.equal(booted(), 'lamp')

    // Rebuilt as an ISO: nothing of the pair is left.
    await operator.patch(machine, { '/instance_info': { boot_iso: `file://${directory}/boot/live.iso` } })
    await operator.go(machine, 'rebuild', 'active')
    await operator.instanceRuns(machine)
    assert.equal(machine.instance?.kind, 'iso')
    assert.deepEqual((await readdir(filesOf(0))).sort(), ['boot_iso', 'config'])

    await operator.go(machine, 'deleted', 'available')
    assert.equal(existsSync(filesOf(0)), false)
    assert.deepEqual(await linksOf(machine), [])
    assert.equal(machine.running, 'off')
  })

  test('ramdisk: refused before anything is touched', async () => {
    const machine = operator.machineNo(2)
    await operator.patch(machine, { '/instance_info': { kernel: 'http://127.0.0.1:9/k' } })
    await assert.rejects(operator.ask(machine, 'active'), /instance_info has no ramdisk; expected kernel and ramdisk/)
    const node = await operator.node(machine)
    assert.deepEqual([node.provision_state, node.reservation], ['available', null])
    assert.equal(machine.hardware.powerOns, 0)

    // Its source is gone when it is fetched: no half of it is served, and the node can be mended.
    await operator.patch(machine, {
      '/instance_info': { kernel: 'http://127.0.0.1:9/k', ramdisk: 'http://127.0.0.1:9/r' },
    })
    await operator.ask(machine, 'active')
    const failed = await failedDeploy(machine)
    assert.match(
      String(failed.last_error),
      /instance_info\/kernel names http:\/\/127\.0\.0\.1:9\/k, which could not be/,
    )
    assert.equal(machine.running, 'off')
    await operator.patch(machine, { '/instance_info': { boot_iso: `file://${directory}/boot/live.iso` } })
    await operator.go(machine, 'active', 'active')
    await operator.instanceRuns(machine)
  })

  test('custom-agent: its own steps write, and without any nothing is deployed', async () => {
    const machine = operator.machineNo(3)
    await operator.ask(machine, 'active')
    const failed = await failedDeploy(machine)
    assert.match(
      String(failed.last_error),
      /no step of its agent writes the image.*expected at least one with a priority/,
    )
    assert.deepEqual(operator.record.steps(machine), [])

    const deploy_steps = [{ interface: 'deploy', step: 'write_custom', priority: 75, args: { image: 'lamp' } }]
    await operator.go(machine, 'active', 'active', { deploy_steps })
    await operator.instanceRuns(machine)
    assert.deepEqual(operator.record.steps(machine), ['deploy.write_custom'])
    assert.deepEqual(machine.instance, { kind: 'disk' })

    // The same by a template that the instance's traits name; what the request says of a step counts before that.
    const { api } = operator.site.service
    const write = { interface: 'deploy', step: 'write_custom', priority: 65, args: { image: 'of the template' } }
    const wipe = { interface: 'deploy', step: 'erase_devices_metadata', priority: 90, args: {} }
    await api.create('/v1/deploy_templates', { name: 'CUSTOM_LAMP', steps: [write, wipe] })
    await api.put(`/v1/nodes/${machine.name}/traits/CUSTOM_LAMP`, {})
    await operator.patch(machine, { '/instance_info': { traits: ['CUSTOM_LAMP'] } })
    await operator.go(machine, 'rebuild', 'active')
    assert.equal(machine.disk?.id, 'of the template')
    await operator.go(machine, 'rebuild', 'active', {
      deploy_steps: [
        { ...write, priority: 95, args: { image: 'of the request' } },
        { ...wipe, priority: 0 },
      ],
    })
    assert.equal(machine.disk?.id, 'of the request')
    const [first, ...later] = ['deploy.write_custom', 'deploy.erase_devices_metadata', 'deploy.write_custom']
    assert.deepEqual(operator.record.steps(machine), [first, ...later, 'deploy.write_custom'])
    await assert.rejects(
      operator.ask(machine, 'rebuild', { deploy_steps: [{ ...write, step: 'deploy', priority: 50 }] }),
      {
        message: /deploy\.deploy is a core step/,
      },
    )
  })

  test('autodetect: another interface takes its place for as long as there is an instance', async () => {
    const machine = operator.machineNo(4)
    const chosen = async () => (await operator.node(machine)).deploy_interface
    assert.equal(await chosen(), 'autodetect')
    await operator.patch(machine, { '/instance_info': { image_source: 'http://127.0.0.1:9/x' } })
    await assert.rejects(operator.ask(machine, 'active'), /image/, 'as direct refuses it')
    assert.equal(await chosen(), 'autodetect')

    const boot_iso = `file://${directory}/boot/live.iso`
    await operator.patch(machine, { '/instance_info': { boot_iso, ironic_ramdisk_deploy: 'true' } })
    const validated: Record<string, unknown> = await operator.site.service.api.get(`/v1/nodes/${machine.name}/validate`)
    assert.deepEqual(validated.deploy, { result: true })
    await operator.go(machine, 'active', 'active')
    assert.equal(await chosen(), 'ramdisk')
    await operator.go(machine, 'deleted', 'available')
    assert.equal(await chosen(), 'autodetect')

    await operator.chooseImage(machine)
    await operator.go(machine, 'active', 'active')
    await operator.instanceRuns(machine)
    assert.equal(await chosen(), 'direct')
    // Made again with an image of another kind, it is another interface's.
    await operator.patch(machine, { '/instance_info': { boot_iso, ironic_ramdisk_deploy: true } })
    await operator.go(machine, 'rebuild', 'active')
    assert.deepEqual([await chosen(), machine.instance?.kind], ['ramdisk', 'iso'])
  })
})

// After the others, which would miss the service.
test('ramdisk: a service that is killed goes on, and one without the files takes the instance over', async () => {
  const machine = operator.machineNo(1)
  await operator.patch(machine, { '/instance_info': { boot_iso: `file://${directory}/boot/live.iso` } })
  const { service } = operator.site
  const on = operator.record.next((event, of) => of === machine && event.kind === 'power' && event.on)
  await operator.ask(machine, 'active')
  await on
  await service.kill('SIGKILL')
  await service.resume()
  await operator.reached(machine, 'active')
  await operator.instanceRuns(machine)
  assert.equal(machine.hardware.powerOns, 1)

  // As on another host, which has the rows and not the files.
  await service.kill('SIGKILL')
  await rm(filesOf(1), { recursive: true })
  await service.resume()
  for (let left = 600; left > 0 && !existsSync(join(filesOf(1), 'config')); left--) await sleep(50)
  await settled(machine)
  await service.api.put(`/v1/nodes/${machine.name}/states/power`, { target: 'rebooting' })
  await runsAnew(machine, 2)
  assert.equal(machine.instance?.kind, 'iso')
  await operator.go(machine, 'deleted', 'available')
})

/** What the agent of a machine is to do, and what asks for it. */
const byAgent: [step: string, machine: number, info: object, more: object][] = [
  ['deploy.execute_bootc_install', 5, { image_source: 'oci://registry.example/os:1' }, {}],
  [
    'deploy.write_custom',
    6,
    {},
    { deploy_steps: [{ interface: 'deploy', step: 'write_custom', priority: 75, args: { image: 'lamp' } }] },
  ],
]

test('bootc, custom-agent: a service that is killed in mid-write goes on, and nothing is written twice', async () => {
  const begun = operator.record.next(event => event.kind === 'step' && byAgent.some(([step]) => event.step === step))
  for (const [, index, info, more] of byAgent) {
    await operator.patch(operator.machineNo(index), { '/instance_info': info })
    await operator.ask(operator.machineNo(index), 'active', more)
  }
  await begun
  await operator.site.service.kill('SIGKILL')
  await operator.site.service.resume()
  for (const [step, index] of byAgent) {
    const machine = operator.machineNo(index)
    const node = await operator.reached(machine, 'active')
    await operator.instanceRuns(machine)
    assert.deepEqual(operator.record.steps(machine), [step])
    assert.deepEqual([machine.hardware.powerOns, node.last_error], [2, null])
  }
})

/** The machine was switched on for the n-th time and runs its instance. */
async function runsAnew(machine: SimMachine, powerOns: number): Promise<void> {
  for (let left = 600; left > 0 && machine.hardware.powerOns < powerOns; left--) await sleep(50)
  assert.equal(machine.hardware.powerOns, powerOns)
  await operator.instanceRuns(machine)
  await settled(machine)
}

async function settled(machine: SimMachine): Promise<void> {
  for (let left = 600; left > 0; left--) {
    const node = await operator.node(machine)
    if (node.reservation === null && node.target_power_state === null) return
    await sleep(50)
  }
  assert.fail('somebody holds the node')
}

async function failedDeploy(machine: SimMachine) {
  for (let left = 1200; left > 0; left--) {
    const node = await operator.node(machine)
    if (node.provision_state === 'deploy failed' && node.reservation === null) return node
    await sleep(50)
  }
  return assert.fail('it did not fail')
}
