/** Which deploy interface autodetect gives way to, and how the node's fields tell of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import type { Node } from '#db/nodes.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { silent } from '#lib/log.ts'
import { chosenPatch, ownDeployPatch, withChosenDeploy } from './deploy-choice.ts'

async function chooser(autodetect_deploy_interfaces: string[]) {
  const config = await loadConfig({
    overrides: {
      DEFAULT: {
        enabled_hardware_types: ['fake-hardware'],
        enabled_deploy_interfaces: ['autodetect', 'direct', 'ramdisk', 'ansible', 'custom-agent'],
        autodetect_deploy_interfaces,
      },
    },
  })
  const registry = await loadRegistry(config)
  return async (fields: Partial<Node>, kind = 'deploy') => {
    const blank = { driver: 'fake-hardware', deploy_interface: 'autodetect', instance_info: {}, driver_info: {} }
    const node = { ...blank, driver_internal_info: {}, ...fields } as Node // all that a choice reads
    const ctx = { node, config, log: silent } as unknown as NodeContext // likewise
    const chosen = await withChosenDeploy(ctx, registry, kind)
    return { node, chosen, patch: chosenPatch(node, chosen) }
  }
}

const table: [fields: Partial<Node>, chosen: string][] = [
  [{ instance_info: { image_source: 'http://a/b.img' } }, 'direct'],
  [{ instance_info: { ironic_ramdisk_deploy: 'true', boot_iso: 'http://a/b.iso' } }, 'ramdisk'],
  [{ instance_info: { ironic_ramdisk_deploy: true, kernel: 'http://a/k', ramdisk: 'http://a/r' } }, 'ramdisk'],
  [{ instance_info: { ironic_ramdisk_deploy: true, kernel: 'http://a/k' } }, 'direct'],
  [{ instance_info: { ironic_ramdisk_deploy: 'false', boot_iso: 'http://a/b.iso' } }, 'direct'],
  [{ instance_info: { boot_iso: 'http://a/b.iso' } }, 'direct'],
  [{ driver_info: { ansible_deploy_playbook: 'own.yaml' } }, 'ansible'],
  // A node that names another interface has made its choice.
  [{ deploy_interface: 'custom-agent', instance_info: { ironic_ramdisk_deploy: true, boot_iso: 'x' } }, 'custom-agent'],
  [{ instance_info: { deploy_interface: 'custom-agent' } }, 'autodetect'],
]
test('the first that fits is chosen', async () => {
  const choose = await chooser(['ramdisk', 'ansible', 'direct'])
  for (const [fields, wanted] of table) {
    const { chosen } = await choose(fields)
    assert.equal(chosen.deploy_interface, wanted, JSON.stringify(fields))
  }
})

test('the last one has to do where none fits, and cleaning chooses none', async () => {
  const choose = await chooser(['ramdisk', 'custom-agent'])
  assert.equal((await choose({})).chosen.deploy_interface, 'custom-agent')
  assert.deepEqual((await choose({}, 'clean')).patch, {})
})

test('the choice is noted with the start, made anew for another image, and taken back when the node is clean', async () => {
  const choose = await chooser(['ramdisk', 'direct'])
  const first = await choose({ driver_internal_info: { other: 1 } })
  const noted = {
    deploy_interface: 'direct',
    driver_internal_info: { other: 1, original_deploy_interface: 'autodetect' },
  }
  assert.deepEqual(first.patch, noted)
  const failed = { ...first.node, ...noted } as Node
  assert.deepEqual((await choose(failed)).patch, {})
  const again = await choose({ ...failed, instance_info: { ironic_ramdisk_deploy: true, boot_iso: 'x' } })
  assert.deepEqual(again.patch, { ...noted, deploy_interface: 'ramdisk' })
  assert.deepEqual(ownDeployPatch(failed), { deploy_interface: 'autodetect', driver_internal_info: { other: 1 } })
  assert.deepEqual(ownDeployPatch(first.node), {})
})
