/**
 * A client of QEMU's machine protocol: commands with their replies, and events, over a unix socket. It knows the
 * protocol and no command; a lost connection fails whatever is waiting.
 *
 * Source: QEMU docs/interop/qmp-spec
 */
import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '#lib/fault.ts'

/** QEMU refused a command, or went away before it answered. */
export class QmpFailed extends Fault {
  readonly status = 500
  readonly code = 'qmp-failed'
}

export interface QmpEvent {
  event: string
  data: Record<string, unknown>
  /** When QEMU says it happened, by the host's clock. */
  atMs: number
}

interface Waiting {
  command: string
  resolve(value: unknown): void
  reject(error: unknown): void
}

export class Qmp extends EventEmitter<{ event: [QmpEvent]; close: [] }> {
  readonly #socket: Socket
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  #closed = false

  private constructor(socket: Socket) {
    super()
    this.#socket = socket
    // A QEMU that is killed resets the connection. 'close' follows and says it all; the reader passes the error on, too.
    const lines = createInterface({ input: socket })
    for (const source of [socket, lines]) source.on('error', () => {})
    lines.on('line', line => this.#read(line))
    socket.on('close', () => this.#close())
  }

  /**
   * Connects to a QEMU that is just starting, trying until its socket is there.
   * @throws whatever `signal` was aborted with
   */
  static async open(path: string, signal: AbortSignal): Promise<Qmp> {
    for (;;) {
      signal.throwIfAborted()
      const socket = connect(path)
      try {
        await once(socket, 'connect')
      } catch {
        socket.destroy()
        await sleep(20, undefined, { signal })
        continue
      }
      const qmp = new Qmp(socket)
      await qmp.execute('qmp_capabilities')
      return qmp
    }
  }

  /** Runs one command. @throws QmpFailed with QEMU's own words */
  execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    if (this.#closed) return Promise.reject(new QmpFailed(`Cannot run ${command}: QEMU is gone`))
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { command, resolve, reject })
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`)
    })
  }

  /** QEMU is gone. */
  get closed(): boolean {
    return this.#closed
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(line: string): void {
    // QEMU is our own child and its lines are of these three shapes: greeting, event, reply.
    const message = JSON.parse(line) as {
      id?: number
      return?: unknown
      error?: { class: string; desc: string }
      event?: string
      data?: Record<string, unknown>
      timestamp?: { seconds: number; microseconds: number }
    }
    if (message.event !== undefined) {
      const { seconds, microseconds } = message.timestamp ?? { seconds: 0, microseconds: 0 }
      this.emit('event', {
        event: message.event,
        data: message.data ?? {},
        atMs: seconds * 1000 + Math.floor(microseconds / 1000),
      })
      return
    }
    const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id)
    if (waiting === undefined || message.id === undefined) return
    this.#waiting.delete(message.id)
    if (message.error === undefined) waiting.resolve(message.return)
    else waiting.reject(new QmpFailed(`QEMU refused ${waiting.command}: ${message.error.desc}`))
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const { command, reject } of this.#waiting.values()) reject(new QmpFailed(`QEMU went away during ${command}`))
    this.#waiting.clear()
    this.emit('close')
  }
}
