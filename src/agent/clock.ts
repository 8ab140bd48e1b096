/**
 * Puts the clock right before anything depends on it: certificates, of the API and our own, hold for a time, and machines
 * come with clocks that are years off. A time server is asked where one is named; else the API's own answer tells the
 * time. That answer may not be verifiable with the clock as it is, so it is believed within limits alone: never a time
 * before this agent was written, and only where the clock, not the certificate's issuer, is what stands in the way.
 *
 * Source: RFC 9110, `Date`.
 */
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { AgentContext } from './context.ts'
import { request } from './http.ts'

/** No true clock shows an earlier time than this. */
const earliestMs = Date.UTC(2026, 0, 1)
/** What certificates and records bear. */
const tolerableMs = 60_000
const answerMs = 10_000

/** Failures are logged: what needs the time says more about it than this could. */
export async function correctClock(context: AgentContext): Promise<void> {
  const { options, settings, log } = context
  if (options.ntpServer !== null) {
    try {
      await run('chronyd', ['-u', 'root', '-q', '-t', '20', `server ${options.ntpServer} iburst`], {
        signal: AbortSignal.timeout(30_000),
      })
      return
    } catch (error) {
      log.warn(`Setting the clock from ${options.ntpServer}: ${messageOf(error)}`)
    }
  }
  if (!settings.ownsMachine) return
  for (const url of [...options.apiUrls, ...options.inspectionUrls]) {
    const timeMs = await timeOf(url, context)
    if (timeMs === null) continue
    const offMs = Math.abs(timeMs - Date.now())
    if (timeMs < earliestMs || offMs <= tolerableMs) return
    const wasAt = new Date().toISOString()
    try {
      await run('date', ['-u', '-s', new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ')])
      log.info(`The clock said ${wasAt} and was set by the answer of the API`)
    } catch (error) {
      log.warn(`Setting the clock, which says ${wasAt}: ${messageOf(error)}`)
    }
    return
  }
}

/** Null when the server does not answer, says no time, or is not to be believed. */
async function timeOf(url: string, { options, log }: AgentContext): Promise<number | null> {
  const ask = async (insecure: boolean) => {
    const { headers, body } = await request(options, { url, timeoutMs: answerMs, insecure, redirects: 0 })
    body.destroy()
    const timeMs = Date.parse(String(headers.date))
    return Number.isNaN(timeMs) ? null : timeMs
  }
  try {
    return await ask(false)
  } catch (error) {
    if (!isAboutTime(error)) return null
    log.warn(`By this machine's clock (${new Date().toISOString()}) the API's certificate does not hold`)
    return await ask(true).catch(() => null)
  }
}

function isAboutTime(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : null
  const code = cause instanceof Error && 'code' in cause ? cause.code : null
  return code === 'CERT_NOT_YET_VALID' || code === 'CERT_HAS_EXPIRED'
}
