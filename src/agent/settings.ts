/**
 * What this process alone is told, and no conductor or boot loader: paths, programs, which disks it may see. For agents in
 * a ramdisk the defaults are right.
 */
import { parseArgs } from 'node:util'

/** By flags, or by `FERRITE_AGENT_*` in the environment. */
export interface Settings {
  cmdlineFile: string
  /** Token, certificate and command records: tmpfs, so that they die with this boot and not with this process. */
  stateDir: string
  /** What init and we say, as it goes to the consoles; null: nobody keeps it, so our own log is told. */
  bootLogFile: string | null
  /** There while the firmware is UEFI. */
  efiDir: string
  /** Where the kernel shows the crash records that the firmware keeps. */
  pstoreDir: string
  /** Where configuration files are, and where those of virtual media go. */
  etcDir: string
  /** How often drives of virtual media are looked for, a second apart. */
  virtualMediaAttempts: number
  /** Where images that must be inspected are kept meanwhile. */
  tempDir: string
  /** Hardware managers that are programs of their own. */
  pluginDir: string
  /** When not empty: the only block devices the agent sees, of any type (for agents that are not in a ramdisk). */
  onlyDevices: string[]
  powerOffCommand: string[]
  rebootCommand: string[]
  /** How often a disk's test of itself is asked about, and how long a burn-in waits for its partner's network. */
  smartPollMs: number
  networkRetryMs: number
  /** False: leave clock, caches and network interfaces of the machine alone. */
  ownsMachine: boolean
}

/** @param env for the same settings as variables, e.g. FERRITE_AGENT_STATE_DIR; flags win */
export function readSettings(args: readonly string[], env: Record<string, string | undefined>): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'cmdline-file': { type: 'string', default: env.FERRITE_AGENT_CMDLINE_FILE ?? '/proc/cmdline' },
      'state-dir': { type: 'string', default: env.FERRITE_AGENT_STATE_DIR ?? '/run/ferrite-agent' },
      'efi-dir': { type: 'string', default: env.FERRITE_AGENT_EFI_DIR ?? '/sys/firmware/efi' },
      'pstore-dir': { type: 'string', default: env.FERRITE_AGENT_PSTORE_DIR ?? '/sys/fs/pstore' },
      'etc-dir': { type: 'string', default: env.FERRITE_AGENT_ETC_DIR ?? '/etc' },
      'virtual-media-attempts': { type: 'string', default: '20' },
      'temp-dir': { type: 'string', default: env.FERRITE_AGENT_TEMP_DIR ?? '/tmp' },
      'plugin-dir': { type: 'string', default: env.FERRITE_AGENT_PLUGIN_DIR ?? '/usr/lib/ferrite/hardware-managers' },
      'only-devices': { type: 'string', default: env.FERRITE_AGENT_ONLY_DEVICES ?? '' },
      'power-off-command': { type: 'string', default: env.FERRITE_AGENT_POWER_OFF_COMMAND ?? 'poweroff -f' },
      'reboot-command': { type: 'string', default: env.FERRITE_AGENT_REBOOT_COMMAND ?? 'reboot -f' },
      'smart-poll-ms': { type: 'string', default: '30000' },
      'network-retry-ms': { type: 'string', default: '30000' },
      guest: { type: 'boolean', default: env.FERRITE_AGENT_GUEST === '1' },
    },
  })
  return {
    cmdlineFile: values['cmdline-file'],
    stateDir: values['state-dir'],
    bootLogFile: values.guest ? null : '/run/log/ramdisk.log',
    efiDir: values['efi-dir'],
    pstoreDir: values['pstore-dir'],
    etcDir: values['etc-dir'],
    virtualMediaAttempts: Number(values['virtual-media-attempts']),
    tempDir: values['temp-dir'],
    pluginDir: values['plugin-dir'],
    onlyDevices: values['only-devices'].split(',').filter(name => name !== ''),
    powerOffCommand: words(values['power-off-command']),
    rebootCommand: words(values['reboot-command']),
    smartPollMs: Number(values['smart-poll-ms']),
    networkRetryMs: Number(values['network-retry-ms']),
    ownsMachine: !values.guest,
  }
}

const words = (value: string) => value.split(' ').filter(word => word !== '')
