/** The instance lives on a volume of a real iSCSI target; nothing is on the machine's disk. */
import { join } from 'node:path'
import { bootLimitMs } from '../../../test/vm/world.ts'
import { forLightSystem, makeLightIso } from '../light-system.ts'
import type { Scenario } from '../scenario.ts'
import { startTgt } from '../tgt.ts'

/** The target admits no other name. */
const initiator = 'iqn.2026-11.test.ferrite:machine'

export default {
  name: 'boot-from-volume',
  title: 'ramdisk with storage external: an iSCSI volume of tgt, with CHAP, booted by iPXE',
  packages: forLightSystem,
  machine: {
    config: { DEFAULT: { enabled_deploy_interfaces: 'direct,ramdisk', enabled_storage_interfaces: 'noop,external' } },
  },
  async run(world) {
    const { lab } = world
    const { api } = lab.service
    const file = await makeLightIso(join(lab.imageFolder, 'light'), 'volume-1')
    const target = await startTgt(world, { file, initiator, password: 'volume-secret-1' })
    await world.makeAvailable()
    await lab.change('/deploy_interface', 'ramdisk')
    await lab.change('/storage_interface', 'external')
    await api.create('/v1/volume/connectors', { node_uuid: lab.uuid, type: 'iqn', connector_id: initiator })
    await api.create('/v1/volume/targets', {
      node_uuid: lab.uuid,
      volume_type: 'iscsi',
      boot_index: 0,
      volume_id: 'root',
      properties: {
        target_iqn: target.iqn,
        target_portal: target.portal,
        target_lun: target.lun,
        auth_username: target.login.username,
        auth_password: target.login.password,
      },
    })
    const from = await lab.serialSize()
    const began = performance.now()
    await lab.bring('active', 'active')
    await lab.says(/^volume-1 login: /m, from, bootLimitMs)
    world.notes.push(`login prompt after ${((performance.now() - began) / 1000).toFixed(0)} s`)
    await lab.bring('deleted', 'available')
  },
} satisfies Scenario
