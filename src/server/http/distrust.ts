/**
 * Notices callers who ask for a TLS connection and end it before they ask for anything: they do not trust our certificate,
 * and can tell nobody. Some say why in an alert, others just hang up.
 *
 * Source: RFC 8446, 6.2 (alerts); OpenSSL, error codes of the SSL library.
 */
import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/** @param tell is told the caller's address, and what is known of the reason */
export function watchDistrust(server: Server, tell: (address: string, reason: string) => void): void {
  const asked = new Set<string>()
  server.on('connection', (socket: Socket) => {
    // A socket that is closed knows its far end no more.
    const { remoteAddress: address, remotePort } = socket
    if (address === undefined) return
    const key = `${address} ${remotePort}`
    socket.once('close', () => {
      const isSilent = !asked.delete(key)
      if (isSilent && socket.bytesRead > 0) {
        tell(address, `a caller at ${shown(address)} saw the certificate and hung up without a request`)
      }
    })
  })
  server.on('request', ({ socket }: IncomingMessage) => asked.add(`${socket.remoteAddress} ${socket.remotePort}`))
  server.on('tlsClientError', (error: Error & { code?: string }, { remoteAddress }: TLSSocket) => {
    const alert = /ALERT_(.+)$/
      .exec(error.code ?? '')?.[1]
      ?.toLowerCase()
      .replaceAll('_', ' ')
    if (remoteAddress === undefined || alert === undefined || !/certificate|\bca\b/.test(alert)) return
    tell(remoteAddress, `a caller at ${shown(remoteAddress)} refused the certificate: ${alert}`)
  })
}

/** IPv4 addresses as such, on sockets of both kinds. */
function shown(address: string): string {
  return address.replace(/^::ffff:/, '')
}
