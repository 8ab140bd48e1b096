/**
 * The action `api-call` of inspection rules: a GET that tells another service of what was found. What it answers is not
 * read. Refusals for the moment (429, 5xx) and broken connections are tried again, each time after a longer pause.
 *
 * Source: Ironic ironic/common/inspection_rules/actions.py, CallAPIHookAction; urllib3, "Retry" (pauses).
 */
import { ProxyAgent, request } from 'undici'
import type { Config } from '#config/options.ts'
import { ask, httpSettings } from '#images/http.ts'
import type { Clock } from '#lib/clock.ts'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'

export interface ApiCall {
  url: string
  headers: Record<string, string>
  /** By scheme of the URL: `http`, `https`. */
  proxies: Record<string, string>
  /** For one attempt. */
  timeoutS: number
  retries: number
  /** Seconds before the second retry; it doubles with each further one. */
  backoffFactor: number
}

class ApiCallFailed extends Fault {
  readonly status = 500
  readonly code = 'rule-api-call'
}

const passing = [429, 500, 502, 503, 504]

/** @throws InvalidInput for what is no URL; ApiCallFailed when no attempt was answered with a status below 400 */
export async function callApi(
  call: ApiCall,
  { config, clock, signal }: { config: Config; clock: Clock; signal: AbortSignal },
): Promise<void> {
  const url = URL.parse(call.url)
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new InvalidInput(`found the URL ${JSON.stringify(call.url.slice(0, 200))}, expected an http or https one`)
  }
  // The query may hold a secret.
  const shown = `${url.origin}${url.pathname}`
  for (let attempt = 0; ; attempt += 1) {
    const outcome = await once(call, url, config, signal)
    if (typeof outcome === 'number' && outcome < 400) return
    const mayPass = typeof outcome !== 'number' || passing.includes(outcome)
    if (!mayPass || attempt >= call.retries) {
      const why = typeof outcome === 'number' ? `it answered ${outcome}` : outcome
      throw new ApiCallFailed(`GET ${shown} failed after ${attempt + 1} attempts: ${why}`)
    }
    if (attempt > 0) await clock.sleep(call.backoffFactor * 2 ** attempt * 1000, signal)
  }
}

/** The status of the answer, or why there is none. */
async function once(call: ApiCall, url: URL, config: Config, signal: AbortSignal): Promise<number | string> {
  const timeoutMs = call.timeoutS * 1000
  const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const proxy = call.proxies[url.protocol.slice(0, -1)]
  try {
    if (proxy !== undefined) return await throughProxy(call, url, proxy, limited)
    const settings = { ...httpSettings(config), timeoutMs, user: null, password: null, headers: call.headers }
    const answer = await ask('GET', url.href, settings, { signal: limited })
    await answer.body.dump()
    return answer.status
  } catch (error) {
    signal.throwIfAborted()
    return limited.aborted ? `no answer within ${call.timeoutS} s` : messageOf(error)
  }
}

async function throughProxy(call: ApiCall, url: URL, proxy: string, signal: AbortSignal): Promise<number> {
  const dispatcher = new ProxyAgent(proxy)
  try {
    const { statusCode, body } = await request(url, { dispatcher, headers: call.headers, signal })
    await body.dump()
    return statusCode
  } finally {
    await dispatcher.close()
  }
}
