/**
 * Inspection in band: gathers what the machine is and posts it once, before the lookup. What is gathered is for
 * the collectors to say; half an inventory with its error is posted all the same, for it is worth more than none.
 *
 * Source: openstack/ironic-python-agent `inspector.py` (retries).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Value } from 'typebox/value'
import { messageOf } from '#lib/fault.ts'
import { InspectionAnswer } from '#protocol/agent.ts'
import { collect, type Data } from './collectors/collectors.ts'
import type { AgentContext } from './context.ts'
import { AgentFault } from './errors.ts'
import type { Hardware } from './hardware/manager.ts'
import { readText, request, shown } from './http.ts'

const DEFAULT_COLLECTORS = ['default', 'logs']
const ATTEMPTS = 5

/** URLs to post to; empty when nobody asked for inspection. */
export function inspectionUrls({ options }: AgentContext): string[] {
  if (options.inspectionUrls.length > 0) return options.inspectionUrls
  if (options.inspectionCollectors === null) return []
  return options.apiUrls.map(url => `${url}/v1/continue_inspection`)
}

/**
 * Gathers and posts.
 * @returns the node's uuid as the receiver knows it
 * @throws AgentFault InspectionError when nobody took the data
 */
export async function inspect(context: AgentContext, hardware: Hardware, signal: AbortSignal): Promise<string | null> {
  const { options, log } = context
  const names = options.inspectionCollectors ?? DEFAULT_COLLECTORS
  const data = await collect(names, { context, hardware, signal })
  let reason = ''
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if (attempt > 1) await sleep(Math.min(30_000, Math.max(5_000, 1500 * 2 ** (attempt - 1))), undefined, { signal })
    for (const url of inspectionUrls(context)) {
      const outcome = await post(context, url, data)
      if (outcome.kind === 'accepted') {
        log.info(`Inspection data accepted by ${shown(url)}: node ${outcome.uuid ?? 'not named'}`)
        return outcome.uuid
      }
      reason = `${shown(url)}: ${outcome.reason}`
      if (outcome.kind === 'refused') throw new AgentFault('InspectionError', `Posting inspection data: ${reason}`)
      log.warn(`Posting inspection data, attempt ${attempt} of ${ATTEMPTS}: ${reason}`)
    }
  }
  throw new AgentFault('InspectionError', `Posting inspection data failed ${ATTEMPTS} times: ${reason}`)
}

type Outcome =
  | { kind: 'accepted'; uuid: string | null }
  | { kind: 'refused'; reason: string }
  | { kind: 'again'; reason: string }

async function post({ options }: AgentContext, url: string, data: Data): Promise<Outcome> {
  try {
    const answer = await request(options, {
      method: 'POST',
      url,
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      json: data,
      timeoutMs: options.httpTimeoutMs,
    })
    const text = await readText(answer)
    if (answer.status >= 200 && answer.status < 300) {
      const body: unknown = text === '' ? null : JSON.parse(text)
      return { kind: 'accepted', uuid: Value.Check(InspectionAnswer, body) ? body.uuid : null }
    }
    const reason = `the answer was ${answer.status}: ${text.slice(0, 300)}`
    return { kind: answer.status >= 500 || answer.status === 409 ? 'again' : 'refused', reason }
  } catch (error) {
    return { kind: 'again', reason: messageOf(error) }
  }
}
