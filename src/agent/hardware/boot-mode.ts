/**
 * UEFI or BIOS: how this machine's firmware started the ramdisk, how the node is to boot, and which kind of partition
 * table goes with that.
 *
 * Source: openstack/ironic-python-agent `utils.py` (order in which places are asked).
 */
import { existsSync } from 'node:fs'
import type { AgentNode } from '#protocol/agent.ts'
import { capabilitiesOf } from '#protocol/capabilities.ts'
import type { Settings } from '../settings.ts'

export type BootMode = 'bios' | 'uefi'

/** What the firmware is doing now. */
export function presentBootMode({ efiDir }: Pick<Settings, 'efiDir'>): BootMode {
  return existsSync(efiDir) ? 'uefi' : 'bios'
}

/** Secure boot means UEFI; then what the instance asks for, the node, the conductor; else the mode of now. */
export function wantedBootMode(node: AgentNode | null, settings: Pick<Settings, 'efiDir'>): BootMode {
  const present = presentBootMode(settings)
  if (node === null) return present
  const ofInstance = capabilitiesOf(node.instance_info.capabilities)
  const ofNode = capabilitiesOf(node.properties.capabilities)
  if ([ofInstance, ofNode].some(({ secure_boot: secure }) => secure?.toLowerCase() === 'true')) return 'uefi'
  const wanted = [
    ofInstance.boot_mode,
    node.instance_info.deploy_boot_mode,
    ofNode.boot_mode,
    node.driver_internal_info?.deploy_boot_mode,
  ]
  const mode = String(wanted.find(value => typeof value === 'string' && value !== '')).toLowerCase()
  return mode === 'bios' || mode === 'uefi' ? mode : present
}

/** UEFI boots from GPT alone; on BIOS machines the capability `disk_label` chooses, the instance's before the node's. */
export function wantedLabel(node: AgentNode | null, bootMode: BootMode): 'gpt' | 'dos' {
  if (bootMode === 'uefi') return 'gpt'
  const label =
    capabilitiesOf(node?.instance_info.capabilities).disk_label ??
    capabilitiesOf(node?.properties.capabilities).disk_label
  return label?.toLowerCase() === 'gpt' ? 'gpt' : 'dos'
}
