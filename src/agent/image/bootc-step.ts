/**
 * The deploy step and the command that conductors use to install a bootable container. They differ in how they name the
 * pull secret, and in where the instance's wishes come from.
 */
import { isTrue } from '#lib/truth.ts'
import type { AgentNode } from '#protocol/agent.ts'
import { AgentFault } from '../errors.ts'
import type { Step } from '../hardware/manager.ts'
import { type Container, installContainer } from './bootc.ts'

export const bootcInstallStep: Step = {
  step: 'execute_bootc_install',
  interface: 'deploy',
  offered: { deploy: { priority: 0 }, service: { priority: 0 } },
  run: async ({ image_source: source, configdrive, oci_pull_secret: secret }, context) => ({
    result: await installContainer(containerOf({ source, configdrive, secret }, context.node.instance_info), context),
  }),
}

/** @throws AgentFault InvalidImage naming what is not a text */
export function containerOf(
  given: { source: unknown; configdrive: unknown; secret: unknown },
  wishes: AgentNode['instance_info'],
): Container {
  const text = (name: string, value: unknown) => {
    if (value === undefined || value === null || value === '') return null
    if (typeof value === 'string') return value
    throw new AgentFault('InvalidImage', `Cannot install a container: ${name} is a ${typeof value}, expected a text`)
  }
  return {
    imageSource: text('image_source', given.source) ?? '',
    pullSecret: text('the pull secret', given.secret),
    configDrive: text('configdrive', given.configdrive),
    authorizedKeys: text('bootc_authorized_keys', wishes.bootc_authorized_keys),
    tpm2Luks: isTrue(wishes.bootc_tpm2_luks) ?? false,
  }
}
