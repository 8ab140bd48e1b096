/**
 * Node and port as the agent gets them with a step: the API's fields, secrets masked, and the settings for erasing that
 * the agent looks for in driver_internal_info.
 */
import type { Port } from '#db/ports.ts'
import { mask } from '#lib/mask.ts'
import type { NodeContext } from '../driver.ts'

export function nodeForAgent(ctx: NodeContext): Record<string, unknown> {
  const { node, config } = ctx
  const { lease, id, ...fields } = node
  return {
    ...fields,
    driver_info: mask(node.driver_info),
    instance_info: mask(node.instance_info),
    driver_internal_info: {
      ...mask(node.driver_internal_info),
      agent_erase_devices_iterations: config.deploy.shred_random_overwrite_iterations,
      agent_erase_devices_zeroize: config.deploy.shred_final_overwrite_with_zeros,
      agent_continue_if_secure_erase_failed: config.deploy.continue_if_disk_secure_erase_fails,
      agent_enable_nvme_secure_erase: config.deploy.enable_nvme_secure_erase,
      agent_enable_ata_secure_erase: config.deploy.enable_ata_secure_erase,
      disk_erasure_concurrency: config.deploy.disk_erasure_concurrency,
      agent_erase_skip_read_only: config.deploy.erase_skip_read_only,
    },
  }
}

export function portForAgent(port: Port): Record<string, unknown> {
  const { id, ...fields } = port
  return fields
}
