/** The service is killed with work in its hands and started again: everything comes to its end, and nothing is done twice. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MachineEvent, SimMachine } from '../src/sim/machine.ts'
import { type Operator, openSite } from './simulated-site.ts'

type Event = (event: MachineEvent) => boolean

const begins =
  (step: string): Event =>
  event =>
    event.kind === 'step' && event.step === step
const poweredOn: Event = event => event.kind === 'power' && event.on
const poweredOff: Event = event => event.kind === 'power' && !event.on
const ramdiskRuns: Event = event => event.kind === 'running' && event.what === 'ramdisk'
/** After a step began: the step has ended, and the agent says so. */
const heartbeat: Event = event => event.kind === 'heartbeat' && event.outcome === 'accepted'

/** The first event of the first machine, then the second one after it, and so on. */
async function happened(operator: Operator, events: readonly Event[]): Promise<void> {
  const [first] = operator.machines
  for (const isWanted of events) await operator.record.next((event, machine) => machine === first && isWanted(event))
}

/** Kills the service at each of the moments, and starts it again `downMs` later. */
async function killedAt(operator: Operator, moments: readonly Event[][], downMs: number): Promise<void> {
  const { service } = operator.site
  let next: Promise<void> | undefined
  for (const [index, events] of moments.entries()) {
    await (next ?? happened(operator, events))
    await service.kill('SIGKILL')
    // Before the service is back, lest the next moment passes unseen.
    const following = moments[index + 1]
    next = following && happened(operator, following)
    await sleep(downMs)
    await service.resume()
  }
}

const rounds: { name: string; moments: Event[][]; downMs: number }[] = [
  {
    name: 'powering on, in mid-write, and when the agent has switched the machine off',
    moments: [[poweredOn], [begins('deploy.write_image')], [poweredOff]],
    downMs: 0,
  },
  {
    name: 'waiting for the agent, at the end of the write, and starting the instance',
    moments: [[ramdiskRuns], [begins('deploy.write_image'), heartbeat], [poweredOff, poweredOn]],
    downMs: 100,
  },
  {
    name: 'in mid-write, and away until long after its end',
    moments: [[begins('deploy.write_image')]],
    downMs: 1500,
  },
]

describe('a service that is killed', { concurrency: true }, () => {
  test('in mid-clean: three machines still become available', async () => {
    await using operator = await openSite({ nodes: 3 })
    const { machines, record, site } = operator
    for (const machine of machines) {
      const node_uuid = await site.enrol(machine)
      await site.service.api.create('/v1/ports', { node_uuid, address: machine.macs[0] })
    }
    await operator.bring('manage', 'manageable')
    const killed = killedAt(operator, [[ramdiskRuns], [begins('clean.erase_devices')]], 100)
    await operator.bring('provide', 'available')
    await killed
    for (const machine of machines) {
      assert.deepEqual(record.steps(machine), ['clean.erase_devices_metadata', 'clean.erase_devices'])
      assert.deepEqual([machine.hardware.powerOns, machine.running], [1, 'off'])
    }
  })

  test('in mid-deploy: three machines still become active', async t => {
    await using operator = await openSite({ nodes: 3 })
    await operator.makeAvailable()
    for (const machine of operator.machines) await operator.chooseImage(machine)
    for (const [index, { name, moments, downMs }] of rounds.entries()) {
      await t.test(name, () => deployUnderKills(operator, index === 0 ? 'active' : 'rebuild', moments, downMs))
    }
  })
})

/** Deploys all machines while the service is killed; each writes once and is powered on twice, as if nothing had been. */
async function deployUnderKills(operator: Operator, verb: string, moments: Event[][], downMs: number): Promise<void> {
  const { machines, record, site } = operator
  const writes = (machine: SimMachine) => record.steps(machine).filter(step => step === 'deploy.write_image').length
  const before = machines.map(machine => ({ writes: writes(machine), powerOns: machine.hardware.powerOns }))
  const killed = killedAt(operator, moments, downMs)
  // The first machine, whose events say when to kill, comes last: all requests are accepted by then.
  for (const machine of machines.toReversed()) await operator.ask(machine, verb)
  await killed
  for (const [index, machine] of machines.entries()) {
    const node = await operator.reached(machine, 'active')
    await operator.instanceRuns(machine)
    assert.equal(machine.disk?.digest, `sha256:${site.image.sha256}`)
    assert.equal(writes(machine), (before[index]?.writes ?? 0) + 1)
    assert.equal(machine.hardware.powerOns, (before[index]?.powerOns ?? 0) + 2)
    assert.deepEqual([node.reservation, node.last_error, node.power_state], [null, null, 'power on'])
  }
}
