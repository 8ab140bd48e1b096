/**
 * How long one look at the power of a whole fleet takes over Redfish, and what it costs: the conductor's watch with its
 * database and its pace, the redfish driver, and as many simulated BMCs as wished, in a process of their own, each a port of
 * 127.0.0.1 with TLS that takes its time for every answer. The first sweep opens all sessions, the second finds them open,
 * but no connection. Ends with status 1 when a sweep takes longer than a minute or a BMC was not read.
 *
 *   node bench/redfish-sweep.ts [--bmcs 5000] [--delay-ms 200] [--workers 192] [--plain]
 */
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { selfSigned } from '#lib/x509.ts'
import { serveBmcs, sweepTwice } from './power-sweep.ts'

const { values } = parseArgs({
  options: {
    bmcs: { type: 'string', default: '5000' },
    'delay-ms': { type: 'string', default: '200' },
    workers: { type: 'string', default: '192' },
    /** HTTP without TLS: what of the time is the handshakes'. */
    plain: { type: 'boolean', default: false },
  },
})
const bmcs = Number(values.bmcs)
const ROOT = '/redfish/v1'
const day = 24 * 3600_000

if (process.send) await beBmcs()
else process.exitCode = (await sweep()) ? 0 : 1

/** The other process: one server on many ports, which tells who is asked by the port; as little work as possible. */
async function beBmcs(): Promise<void> {
  const now = Date.now()
  const { certPem, keyPem } = selfSigned({
    commonName: 'bmc',
    ipAddresses: ['127.0.0.1'],
    notBefore: new Date(now - day),
    notAfter: new Date(now + day),
    curve: 'p256',
  })
  const delayMs = Number(values['delay-ms'])
  const answer: Parameters<typeof createServer>[1] = (request, response) => {
    request.resume()
    const isOn = (request.socket.localPort ?? 0) % 2 === 0
    setTimeout(() => {
      const { status = 200, headers = {}, body } = answerOf(request.method ?? '', request.url ?? '', isOn)
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
    }, delayMs)
  }
  const ports: number[] = []
  for (let index = 0; index < bmcs; index += 1) {
    const server = values.plain ? createServer(answer) : createTlsServer({ cert: certPem, key: keyPem }, answer)
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', 64, resolve))
    ports.push((server.address() as AddressInfo).port) // it listens on TCP
  }
  await serveBmcs(ports)
}

interface Reply {
  status?: number
  headers?: Record<string, string>
  body: unknown
}

function answerOf(method: string, url: string, isOn: boolean): Reply {
  const sessions = `${ROOT}/SessionService/Sessions`
  const link = (path: string) => ({ '@odata.id': path })
  if (method === 'DELETE') return { status: 200, body: {} }
  if (url === `${ROOT}/`) {
    return { body: { RedfishVersion: '1.18.0', Systems: link(`${ROOT}/Systems`), Links: { Sessions: link(sessions) } } }
  }
  if (url === sessions)
    return { status: 201, headers: { 'x-auth-token': 'token', location: `${sessions}/1` }, body: {} }
  if (url === `${ROOT}/Systems`) return { body: { Members: [link(`${ROOT}/Systems/1`)] } }
  return { body: { PowerState: isOn ? 'On' : 'Off', Status: { Health: 'OK' }, Boot: {} } }
}

function sweep(): Promise<boolean> {
  const workers = Number(values.workers)
  const [scheme, transport] = values.plain ? ['http', 'HTTP'] : ['https', 'HTTPS']
  console.log(`${bmcs} BMCs by ${transport}, ${values['delay-ms']} ms for each answer, ${workers} asked at a time`)
  const account = { redfish_username: 'admin', redfish_password: 'of all simulated ones', redfish_verify_ca: false }
  return sweepTwice({
    file: import.meta.filename,
    bmcs,
    workers,
    config: { redfish: { connection_cache_size: bmcs } },
    // Connections are let go after some seconds, long before the next sweep in real life.
    second: { name: 'sessions are open', afterMs: 6000 },
    node: port => ({
      driver: 'redfish',
      driver_info: { redfish_address: `${scheme}://127.0.0.1:${port}`, ...account },
    }),
  })
}
