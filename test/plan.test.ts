/**
 * A plan says what happens: each verb is planned, then done on a simulated machine, and steps and power changes are
 * compared with what the log of events says of it. Planning writes nothing and asks no machine to change.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Plan } from '../src/protocol/plan.ts'
import { openSite } from './simulated-site.ts'

let site: Awaited<ReturnType<typeof openSite>>
before(async () => {
  const conductor = { deploy_callback_timeout: 60, clean_callback_timeout: 60, inspect_wait_timeout: 60 }
  site = await openSite({ nodes: 1, config: { conductor } })
})
after(() => site[Symbol.asyncDispose]())

interface Logged {
  id: number
  kind: string
  data: Record<string, unknown>
}

const api = () => site.site.service.api
const machine = () => site.machineNo(0)

async function plan(target: string, more: object = {}): Promise<Plan> {
  const before = await everything()
  const answer = await api().create(`/v1/nodes/${machine().name}/plan`, { target, ...more })
  assert.deepEqual(await everything(), before, 'planning changed something')
  return answer as unknown as Plan // checked against its schema by the service
}

/** The node and its log, and what the machine was asked to do to its power. */
async function everything() {
  const events = (await eventsAfter(0)).map(({ id }) => id)
  return { node: await site.node(machine()), events, powerOns: machine().hardware.powerOns }
}

async function eventsAfter(id: number): Promise<Logged[]> {
  const all: Logged[] = []
  for (let last = id; ; ) {
    const { events } = (await api().get(`/v1/events?node=${machine().name}&after=${last}`)) as { events: Logged[] }
    if (events.length === 0) return all
    all.push(...events)
    last = events.at(-1)?.id ?? last
  }
}

/** Plans, does, and holds the two against each other. */
async function compared(target: string, state: string, more: object = {}): Promise<Plan> {
  const planned = await plan(target, more)
  assert.deepEqual(planned.refusals, [])
  const last = (await eventsAfter(0)).at(-1)?.id ?? 0
  await site.go(machine(), target, state, more)
  const events = await eventsAfter(last)
  const steps = events.flatMap(({ kind, data }) => (kind === 'step finished' ? [data.step] : []))
  const power = events.flatMap(({ kind, data }) => (kind === 'power' ? [data.state] : []))
  const changes = power.filter((change, index) => change === 'reset' || power[index - 1] !== change)
  const { steps: plannedSteps, power: plannedPower } = planned
  if (planned.steps_complete)
    assert.deepEqual(
      plannedSteps.map(step => `${step.interface}.${step.step}`),
      steps,
      target,
    )
  else for (const step of plannedSteps) assert.ok(steps.includes(`${step.interface}.${step.step}`), step.step)
  assert.ok(planned.power_complete, target)
  assert.deepEqual(
    plannedPower.map(({ to }) => to),
    changes,
    target,
  )
  assert.equal(planned.boots, changes.filter(change => change !== 'power off').length, target)
  assert.equal((await site.node(machine())).provision_state, planned.ends_in, target)
  return planned
}

test('plans of a whole life are what then happens', async () => {
  await site.enrol(machine())
  await compared('manage', 'manageable')

  const inspection = await compared('inspect', 'manageable')
  assert.equal(inspection.boots, 1)
  assert.equal(inspection.disks, null)

  const first = await compared('provide', 'available')
  assert.equal(first.steps_complete, false)
  assert.match(first.notes.join(), /The agent may add clean steps of its own/)

  await site.chooseImage(machine())
  const { image } = site.site
  const [disk] = machine().facts.disks
  const deployment = await compared('active', 'active')
  assert.equal(deployment.flow, 'deploy')
  const written = deployment.disks?.filter(({ fate }) => fate === 'written') ?? []
  assert.deepEqual(
    written.map(({ serial, size_bytes }) => [serial, size_bytes]),
    [[disk?.serial, disk?.sizeBytes]],
  )
  assert.match(written[0]?.why ?? '', /no hint names another.*all that is on it is lost/)
  assert.equal(deployment.image?.checksum, `sha256:${image.sha256}`)
  assert.equal(deployment.image?.size_bytes, image.sizeBytes)
  assert.equal(deployment.boots, 2)
  await site.instanceRuns(machine())

  // By now an agent has told its steps.
  const end = await compared('deleted', 'available')
  assert.ok(end.steps_complete)
  assert.ok(end.steps.some(({ side, known_from }) => side === 'agent' && known_from === 'earlier run'))
  assert.ok(end.disks?.every(({ fate }) => fate === 'erased'))
})

test('hints choose the disk, and what cannot be is said with every reason', async () => {
  const [disk] = machine().facts.disks
  await site.patch(machine(), { '/properties/root_device': { serial: disk?.serial } })
  const hinted = await plan('active')
  assert.deepEqual(hinted.root_device, { hints: { serial: disk?.serial }, from: 'properties' })
  assert.match(hinted.disks?.find(({ fate }) => fate === 'written')?.why ?? '', /first that matches serial/)

  await site.patch(machine(), { '/properties/root_device': { serial: 'no such disk' } })
  const hopeless = await plan('active')
  assert.ok(hopeless.disks?.every(({ fate }) => fate === 'kept'))
  assert.match(hopeless.notes.join(), /would be taken: the deployment would fail/)

  await site.patch(machine(), { '/properties/root_device': { size: 'much' } })
  await api().put(`/v1/nodes/${machine().name}/maintenance`, { reason: 'a look' })
  await site.chooseImage(machine(), { image_checksum: null, image_os_hash_algo: null, image_os_hash_value: null })
  const refused = await plan('rebuild')
  const told = refused.refusals.map(({ message }) => message).join('\n')
  assert.match(told, /in maintenance/)
  assert.match(told, /in provision state "available"/)
  assert.match(told, /root device hint size/)
  assert.equal(refused.to_state, null)
})

test('steps that are asked for are planned in their place', async () => {
  const steps = [
    { interface: 'deploy', step: 'only_an_agent_knows', args: { secret: 'not told' }, priority: 70 },
    { interface: 'deploy', step: 'erase_devices_metadata', args: {}, priority: 90 },
  ]
  await site.patch(machine(), { '/properties/root_device': {} })
  const { steps: planned } = await plan('active', { deploy_steps: steps })
  const names = planned.map(({ step }) => step)
  assert.deepEqual(names.slice(0, 4), ['deploy', 'erase_devices_metadata', 'write_image', 'only_an_agent_knows'])
  const [own] = planned.filter(({ step }) => step === 'only_an_agent_knows')
  assert.deepEqual([own?.known_from, own?.wanted_by, own?.args], ['unknown', 'request', ['secret']])
  assert.ok(!JSON.stringify(planned).includes('not told'))
  const cleanSteps = [{ interface: 'deploy', step: 'erase_devices' }]
  await assert.rejects(plan('active', { clean_steps: cleanSteps }), /clean_steps is not an option of "active"/)
})
