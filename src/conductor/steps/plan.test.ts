import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Step, StepsContext } from '#drivers/step.ts'
import {
  type AskedStep,
  nameOf,
  type Offer,
  own,
  type PlannedStep,
  planAsAsked,
  planByPriority,
  planDeploy,
  runsWithoutRamdisk,
} from './plan.ts'

const run = async () => {}
const noSteps = Object.fromEntries(
  ['bios', 'boot', 'console', 'deploy', 'firmware', 'inspect', 'management', 'network', 'power', 'raid', 'rescue']
    .concat(['storage', 'vendor'])
    .map(type => [type, {}]),
)

/** What a node has whose interfaces have these steps. */
function offer(kind: 'clean' | 'deploy' | 'service' | 'verify', ...steps: (Partial<Step> & { step: string })[]): Offer {
  const whole = steps.map(step => ({ interface: 'deploy', priority: 0, kinds: [kind], run, ...step }) as Step)
  const interfaces: Record<string, { steps?: Step[] }> = { ...noSteps }
  for (const step of whole) {
    interfaces[step.interface] = { steps: [...(interfaces[step.interface]?.steps ?? []), step] }
  }
  return own({ interfaces } as unknown as StepsContext, kind) // only `steps` is looked at
}

const names = (steps: readonly PlannedStep[]) => steps.map(step => `${nameOf(step)} ${step.priority}`)
const asked = (step: string, more: Partial<AskedStep> = {}): AskedStep => ({ interface: 'deploy', step, ...more })

const core = [
  { step: 'deploy', priority: 100 },
  { step: 'write_image', priority: 80 },
  { step: 'boot_instance', priority: 20 },
]
const settings = { settings: { description: 'what to set', required: true }, force: { description: 'anyway' } }
const bios = { interface: 'bios' as const, step: 'apply', priority: 0, argsinfo: settings }

describe('the steps of a deployment', () => {
  const known = offer('deploy', ...core, bios)
  const plan = (wishes: { asked?: AskedStep[]; templates?: AskedStep[] }, complete = true) =>
    planDeploy(known, { asked: [], templates: [], ...wishes }, { complete })

  test('are those with a priority, the highest first, and between equals by interface', () => {
    assert.deepEqual(names(plan({})), ['deploy.deploy 100', 'deploy.write_image 80', 'deploy.boot_instance 20'])
    const equals = offer('deploy', { step: 'a', priority: 5 }, { interface: 'vendor', step: 'b', priority: 5 }, bios)
    assert.deepEqual(names(planDeploy(equals, { asked: [], templates: [] }, { complete: true })), [
      'vendor.b 5',
      'deploy.a 5',
    ])
  })

  test('of the caller come before those of templates, and both before the drivers', () => {
    const template = asked('apply', { interface: 'bios', priority: 150, args: { settings: 1 } })
    const other = asked('write_image', { priority: 70, args: {} })
    const mine = asked('apply', { interface: 'bios', priority: '140', args: { settings: 2 } })
    const steps = plan({ asked: [mine], templates: [template, other] })
    assert.deepEqual(names(steps), [
      'bios.apply 140',
      'deploy.deploy 100',
      'deploy.write_image 70',
      'deploy.boot_instance 20',
    ])
    assert.deepEqual(steps[0]?.args, { settings: 2 })
  })

  test('with priority 0 are left out, whatever their arguments', () => {
    const steps = plan({
      asked: [asked('deploy', { priority: 0 }), asked('apply', { interface: 'bios', priority: 0 })],
    })
    assert.deepEqual(names(steps), ['deploy.write_image 80', 'deploy.boot_instance 20'])
  })

  test('wait, hold and switch power wherever the caller puts them', () => {
    const steps = plan({
      asked: [asked('hold', { priority: 90 }), asked('reboot', { interface: 'power', priority: 10 })],
    })
    assert.deepEqual(names(steps).slice(1, 2), ['deploy.hold 90'])
    assert.deepEqual([steps.at(-1)?.side, steps.at(-1)?.step, steps[1]?.abortable], ['reserved', 'reboot', true])
  })

  test('that cannot be had are refused, all of them by name', () => {
    const wrong = [
      asked('deploy', { priority: 90 }),
      asked('apply', { interface: 'bios', priority: 5, args: { colour: 'red' } }),
      asked('sing', { priority: 5 }),
      asked('hold', { priority: 5 }),
      asked('hold', { priority: 6 }),
    ]
    const says = (pattern: RegExp) => assert.throws(() => plan({ asked: wrong }), pattern)
    says(/deploy\.deploy is a core step/)
    says(/bios\.apply has no argument "colour"; it takes settings, force/)
    says(/bios\.apply needs the argument "settings": what to set/)
    says(/there is no deploy step deploy\.sing: this node has .*deploy\.write_image/)
    says(/deploy\.hold comes twice in deploy_steps/)
  })

  test('that only an agent may know are not missed before it was asked', () => {
    assert.deepEqual(names(plan({ asked: [asked('sing', { priority: 5 })] }, false)).length, 3)
  })
})

describe('steps by their priority', () => {
  const known = offer('clean', { step: 'erase', priority: 10 }, { step: 'tidy', priority: 5 }, { step: 'rest' })

  test('follow the configured priorities; 0 leaves out, and what the operator disallows is not run', () => {
    const plan = (overrides: Record<string, number>, disallowed: string[] = []) =>
      names(planByPriority(known, 'clean', { overrides, disallowed }))
    assert.deepEqual(plan({}), ['deploy.erase 10', 'deploy.tidy 5'])
    assert.deepEqual(plan({ 'deploy.erase': 0, 'deploy.rest': 7 }), ['deploy.rest 7', 'deploy.tidy 5'])
    assert.deepEqual(plan({}, ['deploy.erase']), ['deploy.tidy 5'])
  })

  test('of a verification go by its own order of interfaces', () => {
    const steps = [
      { interface: 'vendor' as const, step: 'a', priority: 1 },
      { interface: 'power' as const, step: 'b', priority: 1 },
    ]
    assert.deepEqual(names(planByPriority(offer('verify', ...steps), 'verify', { overrides: {} })), [
      'power.b 1',
      'vendor.a 1',
    ])
  })
})

describe('listed steps', () => {
  const known = offer('clean', { step: 'outside', requires_ramdisk: false, abortable: true }, { step: 'inside' }, bios)
  const plan = (steps: AskedStep[], options = { complete: true, ramdisk: true }) =>
    planAsAsked(known, steps, 'clean', options)

  test('run in their order, as often as they are listed', () => {
    const steps = plan([asked('outside'), asked('power_off'), asked('inside'), asked('outside')])
    assert.deepEqual(names(steps), ['deploy.outside 0', 'deploy.power_off 0', 'deploy.inside 0', 'deploy.outside 0'])
    assert.deepEqual([steps[0]?.abortable, steps[2]?.abortable], [true, false])
  })

  test('for contained nodes keep whom they are for', () => {
    const [all, some] = plan([
      asked('power_on', { execute_on_child_nodes: true }),
      asked('apply', { execute_on_child_nodes: true, limit_child_node_execution: ['a', 'b'] }),
    ])
    assert.deepEqual([all?.side, all?.children], ['children', undefined])
    assert.deepEqual([some?.side, some?.children], ['children', ['a', 'b']])
  })

  test('need the ramdisk unless each of them says that it does not', () => {
    const free = [asked('outside'), asked('hold'), asked('anything', { execute_on_child_nodes: true })]
    assert.equal(runsWithoutRamdisk(known, free), true)
    assert.equal(runsWithoutRamdisk(known, [...free, asked('inside')]), false)
    assert.equal(runsWithoutRamdisk(known, [...free, asked('of the agent')]), false)
    const without = { complete: true, ramdisk: false }
    assert.throws(() => plan([asked('inside')], without), /deploy\.inside needs the ramdisk, which is disabled/)
    assert.throws(() => plan([asked('of the agent')], { ...without, complete: false }), /there is no clean step/)
  })
})
