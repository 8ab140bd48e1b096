/**
 * Whose word counts for an agent's certificate: the certificate that came with its heartbeat and nothing else; where
 * none came (the ramdisk has one of its own, from an authority), what the node's `driver_info.agent_verify_ca` says;
 * where that says nothing, `[agent] verify_ca`. Each may be true (the authorities of the system), false (any
 * certificate), or the path of the authorities. It opens no connection.
 *
 * Source: agent protocol, "The client", certificate (ironic/drivers/modules/agent_client.py, _get_verify restated)
 */
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { isTrue } from '#lib/truth.ts'
import { authoritiesAt } from '../authorities.ts'
import type { NodeContext } from '../driver.ts'
import type { Trust } from '../secure-contexts.ts'

export interface AgentTrust {
  /** false: any certificate is taken. */
  readonly verify: boolean
  readonly trust: Trust
}

/** @throws InvalidInput naming the setting whose path is of no use */
export async function agentTrust({
  node,
  agent,
  config,
}: Pick<NodeContext, 'node' | 'agent' | 'config'>): Promise<AgentTrust> {
  const minVersion = config.agent.tls_minimum_version === '1.2' ? 'TLSv1.2' : 'TLSv1.3'
  const pinned = agent?.verify_ca ?? null
  if (pinned !== null) return { verify: true, trust: { minVersion, ca: pinned } }
  const own = node.driver_info.agent_verify_ca ?? null
  const [setting, value] =
    own === null
      ? ['[agent] verify_ca', config.agent.verify_ca]
      : [`driver_info.agent_verify_ca of node ${node.uuid}`, own]
  const verify = isTrue(value)
  if (verify !== undefined) return { verify, trust: { minVersion } }
  return { verify: true, trust: { minVersion, ca: await authorities(setting, value) } }
}

async function authorities(setting: string, path: unknown): Promise<string[]> {
  const refuse = (found: string) =>
    new InvalidInput(
      `${setting} is ${JSON.stringify(path)}, ${found}; expected true, false, or a file or directory of PEM certificates`,
    )
  if (typeof path !== 'string') throw refuse('which is no text')
  const certificates = await authoritiesAt(path).catch(error => {
    throw refuse(`which cannot be read here (${messageOf(error)})`)
  })
  if (certificates.length === 0) throw refuse('which holds no certificate')
  return certificates
}
