/** `ferrite node boot ...` and `node secure boot ...`: what nodes boot from, and how their firmware does it. */
import { type Commands, command } from './command.ts'
import { node, nodePath, nodes, putCommand } from './node-path.ts'
import { forEach } from './report.ts'

const bootDeviceShow = command({
  about: 'Show what a node boots from',
  args: { node },
  options: { supported: { takes: 'nothing', about: 'show what it could boot from' } },
  shows: 'one',
  async run({ args, options }, { api }) {
    const path = `${nodePath(args.node)}/management/boot_device`
    if (!options.supported) return { kind: 'one', item: await api.get(path) }
    const { supported_boot_devices: devices } = await api.get(`${path}/supported`)
    return { kind: 'one', item: { supported_boot_devices: Array.isArray(devices) ? devices.join(', ') : devices } }
  },
})

const bootDeviceSet = command({
  about: 'Choose what nodes boot from next',
  args: { nodes, device: { about: 'pxe, disk, cdrom, bios, safe, wanboot, ... as the hardware supports' } },
  options: { persistent: { takes: 'nothing', about: 'for all boots to come' } },
  async run({ args, options }, { api }) {
    const body = { boot_device: args.device, persistent: options.persistent ?? false }
    await forEach(args.nodes, 'set the boot device of node', name =>
      api.put(`${nodePath(name)}/management/boot_device`, body),
    )
    return undefined
  },
})

const bootModeSet = command({
  about: 'Choose the firmware mode nodes boot in',
  args: { nodes, boot_mode: { choices: ['uefi', 'bios'], about: 'uefi or bios' } },
  options: {},
  async run({ args }, { api }) {
    await forEach(args.nodes, 'set the boot mode of node', name =>
      api.put(`${nodePath(name)}/states/boot_mode`, { target: args.boot_mode }),
    )
    return undefined
  },
})

export const commands: Commands = {
  'device set': bootDeviceSet,
  'device show': bootDeviceShow,
  'mode set': bootModeSet,
}

export const secure: Commands = {
  'boot on': putCommand('Turn secure boot on', 'turn secure boot on for node', 'states/secure_boot', { target: true }),
  'boot off': putCommand('Turn secure boot off', 'turn secure boot off for node', 'states/secure_boot', {
    target: false,
  }),
}
