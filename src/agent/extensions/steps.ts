/**
 * The extensions clean, deploy and service: list the steps of the hardware managers and run one of them. They differ in
 * names only.
 *
 * Source: openstack/ironic-python-agent `extensions/clean.py`, `deploy.py`, `service.py`.
 */
import { Value } from 'typebox/value'
import { AgentNode, ExecuteStepParams, type StepKind } from '#protocol/agent.ts'
import { type Command, Mismatch } from '../commands.ts'
import type { AgentContext } from '../context.ts'
import { type AgentErrorType, AgentFault, named } from '../errors.ts'
import type { Hardware } from '../hardware/manager.ts'

const failureOf = {
  clean: 'CleaningError',
  deploy: 'DeploymentError',
  service: 'ServicingError',
} satisfies Record<StepKind, AgentErrorType>

export function stepCommands(kind: StepKind, hardware: Hardware): Record<string, Command> {
  return {
    [`get_${kind}_steps`]: {
      kind: 'sync',
      params: ['node', 'ports'],
      run: async (params, { agent }) => {
        rememberNode(params.node, agent)
        return { [`${kind}_steps`]: hardware.offeredSteps(kind), hardware_manager_version: hardware.versions() }
      },
    },
    [`execute_${kind}_step`]: {
      kind: 'async',
      run: async (params, context) => {
        if (!Value.Check(ExecuteStepParams, params)) {
          const [first] = Value.Errors(ExecuteStepParams, params)
          throw new AgentFault(
            failureOf[kind],
            `Cannot run a ${kind} step: ${first?.instancePath || 'params'} ${first?.message}`,
          )
        }
        const { step, ports } = params
        const node = rememberNode(params.node, context.agent)
        checkVersions(params[`${kind}_version` as keyof typeof params], hardware)
        try {
          const result = await hardware.runStep(
            step.step,
            { ...extraKeywords(params), ...step.args },
            { ...context, node, ports: ports ?? [] },
          )
          // Conductors compare only these two; an echo of the arguments would carry the config drive in every poll.
          const echo = { interface: step.interface ?? null, step: step.step }
          return { [`${kind}_result`]: result ?? null, [`${kind}_step`]: echo }
        } catch (error) {
          throw named(failureOf[kind], error)
        }
      },
    },
  }
}

/** The node as the conductor just sent it is the best there is: the one from the lookup is masked. */
function rememberNode(sent: unknown, agent: AgentContext): AgentNode {
  const node = { properties: {}, instance_info: {}, ...(typeof sent === 'object' ? sent : {}) }
  if (!Value.Check(AgentNode, node)) {
    const [first] = Value.Errors(AgentNode, node)
    throw new AgentFault(
      'InvalidCommandParamsError',
      `The parameter node is not usable: ${first?.instancePath} ${first?.message}`,
    )
  }
  agent.node = node
  return node
}

/** Absent or null: the caller does not care. */
function checkVersions(expected: unknown, hardware: Hardware): void {
  if (typeof expected !== 'object' || expected === null) return
  const found = hardware.versions()
  const names = new Set([...Object.keys(found), ...Object.keys(expected)])
  const wanted = expected as Record<string, unknown> // an object; values are only compared
  if ([...names].every(name => wanted[name] === found[name])) return
  throw new Mismatch(
    `The steps were listed with hardware managers ${JSON.stringify(expected)}, now there are ${JSON.stringify(found)}`,
  )
}

/** Keywords that stand beside the known ones are meant for the step; the step's own arguments win. */
function extraKeywords(params: Record<string, unknown>): Record<string, unknown> {
  const {
    step: _step,
    node: _node,
    ports: _ports,
    clean_version: _c,
    deploy_version: _d,
    service_version: _s,
    ...extra
  } = params
  return extra
}
