/**
 * Finds out which node this machine is: asks the API with the machine's MACs until it answers, with growing random
 * pauses, and applies what the answer says to the options. It gives up after the option's time, so that the process
 * ends, is started again, and begins with fresh addresses.
 *
 * Source: openstack/ironic-python-agent `ironic_api_client.py` (pauses), `agent.py` (what is applied).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import { type LookupAnswer, type LookupConfig, maskedToken } from '#protocol/agent.ts'
import type { AgentContext } from './context.ts'
import { AgentFault } from './errors.ts'
import { ApiRefused, type IronicApi } from './ironic-api.ts'

/** Extra pauses after 409: the node is locked while a token is made, which takes a moment. */
const LOCKED_PAUSES_MS = [5_000, 10_000, 30_000]

/**
 * @param addresses asked for before every attempt, for interfaces may come up late
 * @throws AgentFault LookupNodeError with the last refusal
 */
export async function lookupNode(
  context: AgentContext,
  api: IronicApi,
  { addresses, nodeUuid, signal }: { addresses: () => Promise<string[]>; nodeUuid: string | null; signal: AbortSignal },
): Promise<LookupAnswer> {
  const { options, log } = context
  const deadline = performance.now() + options.lookupTimeoutMs
  let locked = 0
  for (let attempt = 1; ; attempt++) {
    const macs = await addresses()
    let reason: string
    try {
      const answer = await api.lookup(macs, nodeUuid)
      log.info(`This machine is node ${answer.node.uuid} (lookup attempt ${attempt}, ${macs.join(', ')})`)
      return answer
    } catch (error) {
      reason = messageOf(error)
      if (error instanceof ApiRefused && error.apiStatus === 409) {
        await sleep(LOCKED_PAUSES_MS[Math.min(locked++, LOCKED_PAUSES_MS.length - 1)], undefined, { signal })
      }
    }
    const pauseMs = lookupPauseMs(attempt, options.lookupIntervalMs, Math.random())
    if (performance.now() + pauseMs > deadline) {
      throw new AgentFault(
        'LookupNodeError',
        `Looking up this machine (${macs.join(', ') || 'no MAC found'}) for ${options.lookupTimeoutMs / 1000} s ` +
          `in ${attempt} attempts brought no node; the last answer: ${reason}`,
      )
    }
    log.warn(`${reason}; next lookup in ${Math.round(pauseMs)} ms`)
    await sleep(pauseMs, undefined, { signal })
  }
}

/** Uniform between the interval and 2^(attempt-1) seconds, at most a minute. */
export function lookupPauseMs(attempt: number, intervalMs: number, random: number): number {
  const most = Math.min(2 ** (attempt - 1), 60) * 1000
  return intervalMs + random * Math.max(0, most - intervalMs)
}

/** Applies what the API wants of its agents. Null and absent values leave the option as it is. */
export function applyLookup(context: AgentContext, { node, config }: LookupAnswer): void {
  const { options } = context
  context.node = node
  options.skipBmc = config.agent_skip_bmc_detect ?? options.skipBmc
  options.md5Enabled = config.agent_md5_checksum_enable ?? options.md5Enabled
  options.permittedImageFormats = config.permitted_image_formats ?? options.permittedImageFormats
  // Never taken back: only a yes means anything here.
  if (config.enable_bios_bootloader_install === true) options.runImageInstaller = true
  if (typeof config.disable_deep_image_inspection === 'boolean') {
    options.deepInspection = !config.disable_deep_image_inspection
  }
  if (config.tls_min_version === '1.2' || config.tls_min_version === '1.3')
    options.tlsMinVersion = config.tls_min_version
  options.tlsCipherSuites = config.tls_cipher_suites ?? options.tlsCipherSuites
  options.containers = config.agent_containers ?? options.containers
}

/**
 * The token to use from now on.
 * @throws AgentFault when the API gave the token out before and this agent has none: it cannot prove who it is
 */
export function chooseToken(config: LookupConfig, own: string | null): string | null {
  const offered = config.agent_token ?? null
  if (offered !== null && offered.length >= 32) return offered
  if (offered === maskedToken && own === null) {
    throw new AgentFault(
      'LookupNodeError',
      'The API has given the token of this node to another agent and will not repeat it; this machine must be rebooted ' +
        'by the conductor to get one',
    )
  }
  return own
}
