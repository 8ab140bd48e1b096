/** The BMC fetches nothing: the ramdisk's ISO is sent to it, and its machine reads it from the conductor block by block. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'virtual-media-push',
  title:
    "direct by redfish-virtual-media: the ISO is sent to the BMC over its WebSocket, and read by QEMU's NBD client",
  packages: [],
  machine: {
    config: {
      DEFAULT: { enabled_boot_interfaces: 'redfish-virtual-media', enabled_hardware_types: 'redfish' },
      redfish: { kernel_append_params: 'nofb vga=normal console=tty0 console=ttyS0,115200' },
    },
  },
  async run(world) {
    const { bmc } = world.lab.machine
    await world.makeAvailable({ vmedia_transport_protocol: 'PUSH' })
    await world.deploy(world.imageAt(`file://${world.image.raw}`), { hostname: 'pushed' })
    const asked = await readFile(bmc.access_log, 'utf8')
    assert.match(asked, /"method":"WEBSOCKET","path":"\/nbd\/0","status":101/)
    assert.doesNotMatch(asked, /InsertMedia/)
  },
} satisfies Scenario
