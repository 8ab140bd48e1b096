/** For tests: sends fuzz requests and says what no answer may be: a 500, silence, a stack, an error nobody can read. */
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import type { FuzzRequest } from './fuzz.ts'

export interface FuzzAnswer {
  readonly status: number
  readonly text: string
}

export interface FuzzClient extends Disposable {
  /** @throws Error when the service does not answer in time, or breaks the connection off */
  send(request: FuzzRequest): Promise<FuzzAnswer>
  /** Sends bytes on a connection of their own; resolves with what came back until the server closed it or fell silent. */
  sendBytes(bytes: Buffer): Promise<string>
}

/** @param limitMs how long an answer may take */
export function fuzzClient(url: string, limitMs = 20_000): FuzzClient {
  const { hostname, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  return {
    [Symbol.dispose]: () => agent.destroy(),
    async send({ method, path, headers, body }) {
      const length = body === undefined ? {} : { 'Content-Length': String(body.length) }
      const signal = AbortSignal.timeout(limitMs)
      const asked = httpRequest({ agent, hostname, port, method, path, signal, headers: { ...headers, ...length } })
      asked.end(body)
      const [response] = await once(asked, 'response')
      const pieces: Buffer[] = []
      for await (const piece of response) pieces.push(piece)
      return { status: response.statusCode, text: Buffer.concat(pieces).toString() }
    },
    async sendBytes(bytes) {
      const socket = connect(Number(port), hostname)
      let text = ''
      socket.on('data', data => {
        text += String(data)
      })
      const closed = new Promise<void>(resolve => {
        socket.on('error', () => resolve())
        socket.on('close', () => resolve())
      })
      // Half a request may wait for its other half: the server's own limits of time have tests of their own.
      socket.setTimeout(150, () => socket.destroy())
      socket.end(bytes)
      await closed
      return text
    },
  }
}

/** What is wrong with an answer; undefined: nothing. */
export function complaint({ status, text }: FuzzAnswer, method: string): string | undefined {
  if (status === 500) return `500: ${text.slice(0, 300)}`
  if (/\n\s+at .+:\d+:\d+|node_modules|\.ts:\d+/.test(text)) return `a stack: ${text.slice(0, 300)}`
  if (status < 400 || method === 'HEAD') return undefined
  return readable(text) ? undefined : `${status} that no client can read: ${text.slice(0, 300)}`
}

/** Whether an error says something in one of the forms that clients decode. */
function readable(text: string): boolean {
  try {
    const outer = JSON.parse(text) as { error_message?: string; faultstring?: string }
    const inner = outer.error_message === undefined ? outer : JSON.parse(outer.error_message)
    const told = inner.faultstring ?? inner.description
    return typeof told === 'string' && told !== ''
  } catch {
    return false
  }
}
