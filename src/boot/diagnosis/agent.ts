/** The agent runs and has asked, or tried to ask, this service for something. */
import type { BootRecord } from '#protocol/boot.ts'
import { clockTime, type Diagnosis, lastTrouble, reached } from './words.ts'

export function ofAgent(record: BootRecord): Diagnosis | undefined {
  return heartbeatRefused(record) ?? silentAgent(record) ?? lookupRefused(record) ?? distrustful(record)
}

function heartbeatRefused(record: BootRecord): Diagnosis | undefined {
  const last = lastTrouble(record, 'heartbeat refused')
  if (!last) return undefined
  return {
    cause: 'heartbeat-refused',
    summary: 'Heartbeats of the agent are refused',
    evidence: [`at ${clockTime(last.at)}: ${last.reason}`],
    actions: [remedyOf(last.reason)],
  }
}

/** What the API says of a heartbeat that it does not take. */
function remedyOf(reason: string): string {
  if (/require_tls/.test(reason)) {
    return 'use a ramdisk whose agent serves HTTPS (enable_auto_tls or listen_tls of its configuration), or set [agent] require_tls to false'
  }
  if (/callback_url/.test(reason)) {
    return 'see which addresses the machine has: that of its agent changed, or is no URL (ipa-advertise-host); then reboot the ramdisk, so that it looks its node up anew'
  }
  return 'reboot the ramdisk, so that it looks its node up anew; an agent of an earlier boot may still run'
}

function silentAgent(record: BootRecord): Diagnosis | undefined {
  if (!reached(record, 'lookup')) return undefined
  return {
    cause: 'no-heartbeat',
    summary: 'The agent looked its node up, but no heartbeat followed',
    evidence: [...record.lastWords],
    actions: ['read the ramdisk log: the agent failed after its look-up, or its clock or certificate is refused'],
  }
}

function lookupRefused(record: BootRecord): Diagnosis | undefined {
  const last = lastTrouble(record, 'lookup refused')
  if (!last) return undefined
  return {
    cause: 'lookup-refused',
    summary: "The agent's look-up was refused",
    evidence: [`at ${clockTime(last.at)}: ${last.reason}`],
    actions: ['see that the node waits for a ramdisk, or set [api] restrict_lookup as it is meant to be'],
  }
}

function distrustful(record: BootRecord): Diagnosis | undefined {
  const last = lastTrouble(record, 'api distrusted')
  if (!last) return undefined
  return {
    cause: 'api-not-trusted',
    summary: 'The machine connects to the API and does not trust its certificate, so its agent asks for nothing',
    evidence: [`at ${clockTime(last.at)}: ${last.reason}`, ...record.lastWords],
    actions: [
      "give the ramdisk the authority of the API's certificate, or set ipa-insecure in kernel_append_params",
      "see that the certificate holds today and names the API's address, and that the machine's clock is right",
    ],
  }
}
