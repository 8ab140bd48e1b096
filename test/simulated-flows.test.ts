/**
 * Rescue, servicing and fast track of simulated machines, by the real service as a child process: what their BMCs and
 * agents saw of it.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SimMachine } from '../src/sim/machine.ts'
import { brisk } from '../src/sim/settings.ts'
import { openSite } from './simulated-site.ts'

const [rescued, serviced, tracked] = [0, 1, 2]
let operator: Awaited<ReturnType<typeof openSite>>

before(async () => {
  const config = { DEFAULT: { enabled_rescue_interfaces: 'agent,no-rescue' } }
  operator = await openSite({ nodes: 3, settings: brisk, config })
})
after(() => operator[Symbol.asyncDispose]())

/** A machine with an instance. */
async function deployed(machine: SimMachine): Promise<void> {
  await operator.enrol(machine)
  await operator.patch(machine, { '/automated_clean': false })
  await operator.go(machine, 'manage', 'manageable')
  await operator.go(machine, 'provide', 'available')
  await operator.chooseImage(machine)
  await operator.go(machine, 'active', 'active')
  await operator.instanceRuns(machine)
}

describe('simulated machines', { concurrency: true }, () => {
  test('rescue boots a system beside the instance, which comes back as it was', async () => {
    const machine = operator.machineNo(rescued)
    await deployed(machine)
    await operator.patch(machine, {
      '/driver_info/rescue_kernel': operator.site.driverInfo(machine).deploy_kernel,
      '/driver_info/rescue_ramdisk': operator.site.driverInfo(machine).deploy_ramdisk,
    })
    const { powerOns } = machine.hardware
    const node = await operator.go(machine, 'rescue', 'rescue', { rescue_password: 'open sesame' })
    assert.deepEqual([node.power_state, node.last_error, node.reservation], ['power on', null, null])
    assert.equal(machine.hardware.powerOns, powerOns + 1)
    assert.equal(machine.running, 'ramdisk')
    const everything = JSON.stringify([
      await operator.node(machine),
      await operator.site.service.api.get(`/v1/nodes/${machine.name}/history/detail`),
    ])
    assert.doesNotMatch(everything, /sesame|\$5\$/)

    const image = machine.disk?.digest
    await operator.go(machine, 'unrescue', 'active')
    await operator.instanceRuns(machine)
    assert.equal(machine.disk?.digest, image)
    // Both ways once more, and from rescue straight to available.
    await operator.go(machine, 'rescue', 'rescue', { rescue_password: 'x' })
    await operator.go(machine, 'deleted', 'available')
    assert.equal(machine.running, 'off')
  })

  test('servicing runs steps in the ramdisk, holds, boots it anew when a step wants that, and returns to the instance', async () => {
    const machine = operator.machineNo(serviced)
    await deployed(machine)
    const { powerOns } = machine.hardware
    const burn = { interface: 'deploy', step: 'burnin_memory' }
    const hold = { interface: 'deploy', step: 'hold' }
    await operator.ask(machine, 'service', { service_steps: [burn, hold, burn] })
    const held = await operator.reached(machine, 'service hold')
    assert.deepEqual([held.reservation, held.maintenance], [null, false])
    await operator.go(machine, 'unhold', 'active')
    await operator.instanceRuns(machine)
    const burns = operator.record.steps(machine).filter(step => step === 'service.burnin_memory')
    assert.equal(burns.length, 2)
    // Into the ramdisk, again after each step, and into the instance.
    assert.equal(machine.hardware.powerOns, powerOns + 4)

    // A step that does not exist: known only when the agent has told its own, so the instance comes back untouched.
    await operator.ask(machine, 'service', { service_steps: [{ interface: 'deploy', step: 'sing' }] })
    const failed = await eventually(machine, 'service failed')
    assert.match(String(failed.last_error), /there is no service step deploy\.sing/)
    assert.equal(failed.maintenance, false)
    await operator.instanceRuns(machine)
    await operator.go(machine, 'abort', 'active')
  })

  test('fast track: from inspection to the instance with one power-on and one reboot', async () => {
    const machine = operator.machineNo(tracked)
    await operator.site.enrol(machine)
    await operator.patch(machine, { '/driver_info/fast_track': 'true' })
    await operator.go(machine, 'manage', 'manageable')
    await operator.go(machine, 'inspect', 'manageable')
    assert.deepEqual([machine.hardware.powerOns, machine.running], [1, 'ramdisk'])
    await operator.go(machine, 'provide', 'available')
    assert.deepEqual([machine.hardware.powerOns, machine.running], [1, 'ramdisk'])
    await operator.chooseImage(machine)
    await operator.go(machine, 'active', 'active')
    await operator.instanceRuns(machine)
    assert.equal(machine.hardware.powerOns, 2)
    const steps = ['clean.erase_devices_metadata', 'clean.erase_devices', 'deploy.write_image']
    assert.deepEqual(operator.record.steps(machine), steps)
  })
})

/** Waits for a state that counts as a failure elsewhere. */
async function eventually(machine: SimMachine, state: string) {
  const endMs = Date.now() + 60_000
  for (;;) {
    const node = await operator.node(machine)
    if (node.provision_state === state && node.reservation === null) return node
    assert.ok(Date.now() < endMs, `still ${node.provision_state}`)
    await sleep(50)
  }
}
