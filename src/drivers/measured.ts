/** What drivers tell of each exchange with a BMC or a power strip, retries counted one by one. */
import { measure } from '#lib/measure.ts'

export interface BmcAnswer {
  protocol: 'redfish' | 'ipmi' | 'snmp'
  durationMs: number
  /** `ok`; `refused`: it answered with an error; `failed`: no whole answer came. */
  outcome: 'ok' | 'refused' | 'failed'
}

export const bmcAnswers = measure<BmcAnswer>('ferrite:bmc:answer')

/** Does the work of one exchange and tells how it went. @param judge of an answer that came */
export async function timed<T>(
  protocol: BmcAnswer['protocol'],
  work: () => Promise<T>,
  judge: (result: { answer: T } | { error: unknown }) => BmcAnswer['outcome'],
): Promise<T> {
  if (!bmcAnswers.isHeard) return work()
  const beganMs = performance.now()
  const tell = (outcome: BmcAnswer['outcome']) =>
    bmcAnswers.tell({ protocol, durationMs: performance.now() - beganMs, outcome })
  try {
    const answer = await work()
    tell(judge({ answer }))
    return answer
  } catch (error) {
    tell(judge({ error }))
    throw error
  }
}
