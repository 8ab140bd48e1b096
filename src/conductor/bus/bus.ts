/**
 * A connection to a message bus (AMQP 0-9-1, RabbitMQ), made when something is sent and kept: puts messages into queues of
 * a topic exchange, and waits until the bus has taken them. What is there is used as it is; what is not is made as
 * oslo.messaging would make it.
 *
 * Source: oslo.messaging, RabbitMQ driver (exchange, queues, properties of messages)
 */
import { readFile } from 'node:fs/promises'
import type { ChannelModel, ConfirmChannel } from 'amqplib'
import { messageOf } from '#lib/fault.ts'
import type { BusHost, TransportUrl } from './transport-url.ts'

export interface BusSettings {
  readonly url: TransportUrl
  readonly exchange: string
  /** Of what is made. */
  readonly durable: boolean
  readonly autoDelete: boolean
  readonly quorumQueue: boolean
  readonly heartbeatS: number
  /** Undefined: no TLS. */
  readonly tls: TlsFiles | undefined
  /** How long messages may take to be taken, with all that is needed for it. Default: 10 s. */
  readonly patienceMs?: number
}

export interface TlsFiles {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

export interface BusMessage {
  /** The queue that it goes to, and by which consumers know it. */
  readonly routingKey: string
  readonly content: Buffer
}

const usualPatienceMs = 10_000

export class Bus {
  readonly #settings: BusSettings
  readonly #patienceMs: number
  #connection: ChannelModel | undefined
  #channel: ConfirmChannel | undefined
  /** Queues that are known to be there, of this channel. */
  readonly #queues = new Set<string>()

  constructor(settings: BusSettings) {
    this.#settings = settings
    this.#patienceMs = settings.patienceMs ?? usualPatienceMs
  }

  /** Resolves when the bus has taken all of them. @throws Error with what is known of the bus */
  async send(messages: readonly BusMessage[], signal: AbortSignal): Promise<void> {
    try {
      await within(this.#patienceMs, signal, limit => this.#send(messages, limit))
    } catch (error) {
      // Whatever it was, a new connection begins at a known place.
      await this.close()
      throw error
    }
  }

  async close(): Promise<void> {
    const connection = this.#connection
    this.#forget()
    if (connection) await within(this.#patienceMs, never, () => connection.close()).catch(() => {})
  }

  /** @param limit once it is over, nothing is begun any more, and what comes too late is closed again */
  async #send(messages: readonly BusMessage[], limit: AbortSignal): Promise<void> {
    for (const { routingKey } of messages) await this.#ensureQueue(routingKey, limit)
    const channel = await this.#opened(limit)
    for (const { routingKey, content } of messages) {
      channel.publish(this.#settings.exchange, routingKey, content, {
        contentType: 'application/json',
        contentEncoding: 'utf-8',
        persistent: true,
        priority: 0,
        headers: {},
      })
    }
    await channel.waitForConfirms()
  }

  /** A message nobody takes yet waits in a queue of its topic, as Ironic's do. */
  async #ensureQueue(name: string, limit: AbortSignal): Promise<void> {
    if (this.#queues.has(name)) return
    const { exchange, durable, autoDelete, quorumQueue } = this.#settings
    const isDurable = durable || quorumQueue
    if (!(await this.#has(channel => channel.checkExchange(exchange), limit))) {
      await (await this.#opened(limit)).assertExchange(exchange, 'topic', { durable: isDurable, autoDelete })
    }
    if (!(await this.#has(channel => channel.checkQueue(name), limit))) {
      const quorum = quorumQueue ? { arguments: { 'x-queue-type': 'quorum' } } : {}
      await (await this.#opened(limit)).assertQueue(name, { durable: isDurable, autoDelete, ...quorum })
    }
    await (await this.#opened(limit)).bindQueue(name, exchange, name)
    this.#queues.add(name)
  }

  /** Asking for what is not there ends the channel that asks. */
  async #has(ask: (channel: ConfirmChannel) => Promise<unknown>, limit: AbortSignal): Promise<boolean> {
    const channel = await this.#opened(limit)
    try {
      await ask(channel)
      return true
    } catch (error) {
      if (this.#channel === channel) this.#channel = undefined
      if (error instanceof Error && 'code' in error && error.code === 404) return false
      throw error
    }
  }

  async #opened(limit: AbortSignal): Promise<ConfirmChannel> {
    limit.throwIfAborted()
    if (this.#channel) return this.#channel
    this.#connection ??= await this.#connected(limit)
    const channel = await this.#connection.createConfirmChannel()
    // What went wrong is told to who asked, too.
    channel.on('error', () => {})
    limit.throwIfAborted()
    channel.on('close', () => {
      if (this.#channel === channel) this.#channel = undefined
    })
    this.#channel = channel
    return channel
  }

  async #connected(limit: AbortSignal): Promise<ChannelModel> {
    const problems: string[] = []
    for (const host of this.#settings.url.hosts) {
      const connection = await this.#connectTo(host).catch(error => {
        problems.push(`${host.hostname}:${host.port}: ${messageOf(error)}`)
        return undefined
      })
      connection?.on('error', () => {})
      if (limit.aborted) connection?.close().catch(() => {})
      limit.throwIfAborted()
      if (!connection) continue
      connection.on('close', () => {
        if (this.#connection === connection) this.#forget()
      })
      return connection
    }
    throw new Error(`none of its hosts can be reached: ${problems.join('; ')}`)
  }

  async #connectTo({ hostname, port, username, password }: BusHost): Promise<ChannelModel> {
    // Only where there is a bus: most services have none.
    const { connect } = await import('amqplib')
    const { url, heartbeatS: heartbeat, tls } = this.#settings
    const place = { hostname, port, username, password, vhost: encodeURIComponent(url.virtualHost), heartbeat }
    // Hosts that say nothing leave time for the last one, and for the messages.
    const timeout = Math.floor(this.#patienceMs / (url.hosts.length + 1))
    const socket = { timeout, clientProperties: { connection_name: 'ferrite' } }
    if (!tls) return connect({ protocol: 'amqp', ...place }, socket)
    const [ca, cert, key] = await Promise.all(
      [tls.ca, tls.cert, tls.key].map(file => (file ? readFile(file) : undefined)),
    )
    const secure = {
      servername: hostname,
      ...(ca ? { ca: [ca] } : {}),
      ...(cert ? { cert } : {}),
      ...(key ? { key } : {}),
    }
    return connect({ protocol: 'amqps', ...place }, { ...socket, ...secure })
  }

  #forget(): void {
    this.#connection = undefined
    this.#channel = undefined
    this.#queues.clear()
  }
}

const never = new AbortController().signal

/** @throws Error when it takes too long, or what the signal says */
async function within<T>(limitMs: number, signal: AbortSignal, begin: (limit: AbortSignal) => Promise<T>): Promise<T> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)])
  const work = begin(limit)
  const over = Promise.withResolvers<never>()
  const onAbort = () =>
    over.reject(signal.aborted ? signal.reason : new Error(`it did not answer within ${limitMs / 1000} s`))
  limit.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, over.promise])
  } finally {
    limit.removeEventListener('abort', onAbort)
    work.catch(() => {}) // Nobody waits for it any more.
  }
}
