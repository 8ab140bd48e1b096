/**
 * The small extensions: image, poll, flow, system, log. Each command is a few lines; what it takes is elsewhere.
 *
 * Source: openstack/ironic-python-agent `extensions/`.
 */
import { readdirSync } from 'node:fs'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { run } from '#lib/run.ts'
import type { CommandRequest } from '#protocol/agent.ts'
import type { Command, Extensions } from '../commands.ts'
import type { AgentContext, RunContext } from '../context.ts'
import { AgentFault } from '../errors.ts'
import type { Hardware } from '../hardware/manager.ts'
import { collectSystemLogs } from '../system-logs.ts'
import { imageCommands } from './image.ts'
import { rescueCommands } from './rescue.ts'

export interface OtherParts {
  hardware: Hardware
  /** Closes the API's port and ends the heartbeat. */
  stopServing: () => Promise<void>
  runNested: (request: CommandRequest, context: RunContext) => Promise<unknown>
}

export function otherExtensions({ hardware, stopServing, runNested }: OtherParts): Extensions {
  return {
    image: imageCommands(hardware),
    poll: {
      get_hardware_info: { kind: 'sync', params: [], run: async () => await hardware.call('listHardwareInfo') },
      set_node_info: {
        kind: 'sync',
        params: ['node_info'],
        validate: () => {
          throw new AgentFault(
            'InvalidCommandParamsError',
            'set_node_info is for stand-alone agents; this one was looked up',
          )
        },
        run: async () => null,
      },
    },
    flow: { start_flow: startFlow(runNested) },
    system: { lockdown: lockdown(stopServing) },
    rescue: rescueCommands(stopServing),
    log: {
      collect_system_logs: {
        kind: 'sync',
        params: [],
        run: async (_params, { agent }) => ({ system_logs: (await collectSystemLogs(agent)).toString('base64') }),
      },
    },
  }
}

const Flow = Type.Array(Type.Record(Type.String(), Type.Record(Type.String(), Type.Unknown())), { minItems: 1 })

function startFlow(runNested: OtherParts['runNested']): Command {
  return {
    kind: 'async',
    params: ['flow'],
    validate: ({ flow }) => {
      if (!Value.Check(Flow, flow) || flow.some(part => Object.keys(part).length !== 1)) {
        throw new AgentFault(
          'InvalidCommandParamsError',
          'flow must be a list of objects with one command each and its parameters',
        )
      }
    },
    run: async ({ flow }, context) => {
      const results: unknown[] = []
      for (const part of Value.Check(Flow, flow) ? flow : []) {
        for (const [name, params] of Object.entries(part)) results.push(await runNested({ name, params }, context))
      }
      return results
    },
  }
}

/** Answers, then leaves the network for good. The machine stays up for whoever has its console. */
function lockdown(stopServing: () => Promise<void>): Command {
  return {
    kind: 'sync',
    params: [],
    run: async (_params, { agent }) => {
      setTimeout(() => void leaveNetwork(agent, stopServing), 1_000)
      return null
    },
  }
}

async function leaveNetwork({ settings, log }: AgentContext, stopServing: () => Promise<void>): Promise<void> {
  await stopServing()
  log.info('Locked down: the API is closed')
  if (!settings.ownsMachine) return
  for (const name of readdirSync('/sys/class/net')) {
    if (name !== 'lo') await run('ip', ['link', 'set', name, 'down']).catch(() => {})
  }
}
