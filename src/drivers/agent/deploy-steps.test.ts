/**
 * The core steps of every deploy interface, by name and priority, as Ironic has them: templates and operators' steps are
 * written to fit between these numbers.
 *
 * Source: deploy interfaces, the tables of steps (ironic/drivers/modules/agent.py, ramdisk.py and
 * doc/source/admin/node-deployment.rst).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeployInterface } from '../driver.ts'
import { generic } from '../generic/interfaces.ts'

const shared = { tear_down_agent: 40, switch_to_tenant_network: 30, boot_instance: 20 }
const wanted: Record<string, Record<string, number>> = {
  autodetect: {},
  direct: { deploy: 100, write_image: 80, prepare_instance_boot: 60, ...shared },
  ansible: { deploy: 100, write_image: 80, ...shared },
  anaconda: { deploy: 100 },
  ramdisk: { deploy: 100 },
  bootc: { deploy: 100, execute_bootc_install: 80, prepare_instance_boot: 60, set_boot_to_disk: 60, ...shared },
  'custom-agent': { deploy: 100, prepare_instance_boot: 60, ...shared },
}

for (const [name, load] of Object.entries(generic.deploy)) {
  if (!(name in wanted)) continue // Tested where it is made.
  test(`${name}: steps and their priorities`, async () => {
    const { default: way }: { default: DeployInterface } = await load()
    const offered = way.steps.filter(step => step.kinds.includes('deploy'))
    assert.deepEqual(Object.fromEntries(offered.map(({ step, priority }) => [step, priority])), wanted[name])
    assert.ok(offered.every(step => step.interface === 'deploy'))
    const priorities = offered.map(({ priority }) => priority)
    assert.deepEqual(
      priorities,
      priorities.toSorted((a, b) => b - a),
      'in the order in which they run',
    )
  })
}

test('every interface that has such a table is there', () => {
  const there = Object.keys(generic.deploy)
  assert.deepEqual(
    Object.keys(wanted).filter(name => !there.includes(name)),
    [],
  )
})
