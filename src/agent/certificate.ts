/**
 * The agent's own certificate: made once per boot and kept in the store, because conductors pin what the first heartbeat
 * brought and refuse another. Only a change of address, which no pinned certificate survives anyway, makes a new one.
 */
import { X509Certificate } from 'node:crypto'
import { hostname } from 'node:os'
import { type SelfSigned, selfSigned } from '#lib/x509.ts'
import type { AgentContext } from './context.ts'

const VALID_MS = 30 * 24 * 3600 * 1000

export function ownCertificate({ store, options, log }: AgentContext, address: string): SelfSigned {
  const kept = { certPem: store.readText('agent.crt'), keyPem: store.readText('agent.key') }
  if (
    kept.certPem !== null &&
    kept.keyPem !== null &&
    new X509Certificate(kept.certPem).checkIP(address) !== undefined
  ) {
    return { certPem: kept.certPem, keyPem: kept.keyPem }
  }
  const now = Date.now()
  const made = selfSigned({
    commonName: hostname(),
    ipAddresses: [address],
    notBefore: new Date(now - options.clockSkewMs),
    notAfter: new Date(now + VALID_MS),
    curve: options.tlsCurve,
  })
  store.writeText('agent.key', made.keyPem)
  store.writeText('agent.crt', made.certPem)
  log.info(`Made a certificate for ${address}`)
  return made
}
