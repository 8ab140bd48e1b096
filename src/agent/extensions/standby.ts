/**
 * The extension standby: write an image, then sync and hand the machine over by power-off or reboot.
 *
 * Source: openstack/ironic-python-agent `extensions/standby.py`.
 */
import { writeFile } from 'node:fs/promises'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { AgentNode } from '#protocol/agent.ts'
import type { Command } from '../commands.ts'
import type { RunContext } from '../context.ts'
import { AgentFault } from '../errors.ts'
import type { Hardware } from '../hardware/manager.ts'
import { installContainer } from '../image/bootc.ts'
import { containerOf } from '../image/bootc-step.ts'
import { checkImageInfo, readImageInfo } from '../image/image-info.ts'
import { partitionUuids } from '../image/image-record.ts'
import { prepareImage } from '../image/prepare-image.ts'

/** Enough for the answer to leave before the machine goes down. */
const ANSWER_FIRST_MS = 1_000

export function standbyCommands(hardware: Hardware): Record<string, Command> {
  return {
    prepare_image: {
      kind: 'async',
      params: ['image_info', 'configdrive'],
      validate: ({ image_info: info }, { options }) => {
        try {
          checkImageInfo(readImageInfo(info), options)
        } catch (error) {
          throw new AgentFault('InvalidCommandParamsError', messageOf(error), { cause: error })
        }
      },
      run: async ({ image_info: info, configdrive }, context) => {
        const run = { ...context, hardware, node: context.agent.node }
        return (await prepareImage(readImageInfo(info), configdrive, run)).text
      },
    },
    execute_bootc_install: {
      kind: 'async',
      params: ['image_source', 'instance_info', 'pull_secret', 'configdrive'],
      run: async ({ image_source: source, instance_info: wishes, pull_secret: secret, configdrive }, context) => {
        const { node } = context.agent
        const info = typeof wishes === 'object' && wishes !== null ? wishes : (node?.instance_info ?? {})
        const container = containerOf({ source, configdrive, secret }, info as AgentNode['instance_info']) // an object
        return await installContainer(container, { ...context, hardware, node })
      },
    },
    get_partition_uuids: { kind: 'sync', params: [], run: async (_params, { agent }) => partitionUuids(agent.store) },
    sync: { kind: 'sync', params: [], run: async () => await hardware.call('fullSync') },
    power_off: {
      kind: 'async',
      params: [],
      run: async (_params, context) => await stopMachine('power off', hardware, context),
    },
    run_image: {
      kind: 'async',
      params: [],
      run: async (_params, context) => await stopMachine('reboot', hardware, context),
    },
  }
}

async function stopMachine(
  how: 'power off' | 'reboot',
  hardware: Hardware,
  { agent, signal }: RunContext,
): Promise<void> {
  const { settings, log } = agent
  const answered = new Promise(resolve => setTimeout(resolve, ANSWER_FIRST_MS))
  if (settings.ownsMachine) await run('hwclock', ['--systohc']).catch(error => log.debug(messageOf(error)))
  await hardware.call('fullSync').catch(error => log.warn(`Sync before ${how}: ${messageOf(error)}`))
  await answered
  signal.throwIfAborted()
  const [command = '', ...args] = how === 'reboot' ? settings.rebootCommand : settings.powerOffCommand
  log.info(`Going to ${how}`)
  try {
    const { stdout, stderr } = await run(command, args)
    if (!/ignoring request/i.test(stdout + stderr)) return
    log.warn(`${command} ignored the request`)
  } catch (error) {
    log.warn(messageOf(error))
  }
  if (!settings.ownsMachine) throw new AgentFault('SystemRebootError', `${command} did not ${how} this machine`)
  // The kernel does it without asking anybody.
  await writeFile('/proc/sysrq-trigger', how === 'reboot' ? 'b' : 'o')
}
