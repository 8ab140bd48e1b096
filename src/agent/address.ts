/**
 * Finds the address at which the conductor can reach this agent: the one the kernel would use to reach the API, or the
 * address of a named interface. Link-local addresses do not count.
 */
import { lookup } from 'node:dns/promises'
import { isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { AgentContext } from './context.ts'
import { AgentFault } from './errors.ts'
import { request } from './http.ts'

/** @throws AgentFault LookupAgentIPError after all attempts */
export async function ownAddress(context: AgentContext, signal: AbortSignal): Promise<string> {
  const { options, log } = context
  if (options.advertiseHost !== null) return options.advertiseHost
  let reason = ''
  for (let attempt = 1; attempt <= options.ipLookupAttempts; attempt++) {
    if (attempt > 1) await sleep(options.ipLookupPauseMs, undefined, { signal })
    try {
      if (options.networkInterface !== null) return interfaceAddress(options.networkInterface)
      return await routeAddress(await reachable(context))
    } catch (error) {
      reason = messageOf(error)
      log.warn(`Own address not found yet: ${reason}`)
    }
  }
  throw new AgentFault(
    'LookupAgentIPError',
    `Looking for an address the conductor can reach, ${options.ipLookupAttempts} times, found none: ${reason}`,
  )
}

/** The address as it stands in a URL. */
export function urlHost(address: string): string {
  return isIPv6(address) ? `[${address}]` : address
}

/** API URLs that answer at all; all of them when none does, for a route may exist all the same. */
async function reachable({ options }: AgentContext): Promise<string[]> {
  if (options.apiUrls.length <= 1) return options.apiUrls
  const answers = await Promise.all(
    options.apiUrls.map(async url => {
      try {
        const { body } = await request(options, { url, timeoutMs: options.httpTimeoutMs, insecure: true })
        body.destroy()
        return url
      } catch {
        return null
      }
    }),
  )
  const good = answers.filter(url => url !== null)
  return good.length > 0 ? good : options.apiUrls
}

async function routeAddress(urls: readonly string[]): Promise<string> {
  let reason = 'no API URL is known'
  for (const url of urls) {
    try {
      const { address } = await lookup(new URL(url).hostname.replace(/^\[|\]$/g, ''))
      const { stdout } = await run('ip', ['route', 'get', address])
      const source = /\bsrc\s+(\S+)/.exec(stdout)?.[1]
      if (source !== undefined && !isLinkLocal(source)) return source
      reason = `the route to ${address} has no usable source address`
    } catch (error) {
      reason = messageOf(error)
    }
  }
  throw new AgentFault('LookupAgentIPError', reason)
}

function interfaceAddress(name: string): string {
  const found = networkInterfaces()[name]?.find(({ family, address }) => family === 'IPv4' && !isLinkLocal(address))
  if (found) return found.address
  throw new AgentFault('LookupAgentIPError', `interface ${name} has no IPv4 address`)
}

function isLinkLocal(address: string): boolean {
  return address.startsWith('169.254.') || address.toLowerCase().startsWith('fe80:')
}
