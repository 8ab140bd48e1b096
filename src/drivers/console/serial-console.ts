/**
 * One machine's serial port, shared by everybody who looks at it: what it writes goes to all of them, what any of them
 * types goes to it. The line to it is open while somebody is there, since BMCs have few to give, and is opened again
 * when it breaks. How a line is opened is not known here, nor how people come.
 */
import type { Duplex } from 'node:stream'
import { messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'

/** What an open line tells. */
export interface SerialEvents {
  data(characters: Buffer): void
  /** It is of no use any more. Told once, and not after `close`. */
  end(why: string): void
}

/** An open way to a serial port. */
export interface SerialLine {
  /** Characters that were written and have not arrived. */
  readonly unsentBytes: number
  write(characters: Buffer): void
  close(): Promise<void>
}

export type OpenLine = (events: SerialEvents, signal: AbortSignal) => Promise<SerialLine>

export interface SerialOptions {
  open: OpenLine
  log: Log
  /** After so long without a character either way somebody is sent away; 0: never. */
  idleMs: number
}

/** Somebody who does not read is sent away rather than kept in memory; somebody who types too fast has to wait. */
const mostUnread = 1 << 20
const mostUntyped = 4096
const drainMs = 100
const pausesMs = { first: 1000, longest: 30_000 }
/** A line that held so long was a good one: what comes after it begins anew. */
const goodMs = 30_000

export class SerialConsole {
  readonly #options: SerialOptions
  readonly #people = new Map<Duplex, NodeJS.Timeout | undefined>()
  #line: SerialLine | null = null
  #opening: AbortController | null = null
  #pauseMs = 0

  constructor(options: SerialOptions) {
    this.#options = options
  }

  /** How many are looking. */
  get size(): number {
    return this.#people.size
  }

  /** Somebody comes; who goes ends the stream. */
  attach(person: Duplex): void {
    this.#people.set(person, undefined)
    this.#stir(person)
    person.on('error', () => person.destroy())
    person.on('data', (typed: Buffer) => this.#type(person, typed))
    person.on('end', () => person.end())
    person.on('close', () => this.#leave(person))
    void this.#keepOpen()
  }

  async close(): Promise<void> {
    for (const person of [...this.#people.keys()]) person.destroy()
    this.#opening?.abort()
    const line = this.#line
    this.#line = null
    await line?.close()
  }

  #leave(person: Duplex): void {
    clearTimeout(this.#people.get(person))
    this.#people.delete(person)
    if (this.#people.size > 0) return
    this.#pauseMs = 0
    this.#opening?.abort()
    const line = this.#line
    this.#line = null
    void line?.close()
  }

  #type(person: Duplex, typed: Buffer): void {
    this.#stir(person)
    const line = this.#line
    // What is typed while there is no line goes nowhere, as with a cable that is not plugged.
    if (!line) return
    line.write(typed)
    if (line.unsentBytes < mostUntyped) return
    person.pause()
    const timer = setInterval(() => {
      if (this.#line === line && line.unsentBytes >= mostUntyped && !person.destroyed) return
      clearInterval(timer)
      person.resume()
    }, drainMs)
  }

  /** Begins somebody's time anew. */
  #stir(person: Duplex): void {
    const { idleMs } = this.#options
    if (idleMs === 0 || !this.#people.has(person)) return
    clearTimeout(this.#people.get(person))
    const timer = setTimeout(
      () => person.end('\r\n[console: closed, nothing was typed or shown for a while]\r\n'),
      idleMs,
    )
    timer.unref()
    this.#people.set(person, timer)
  }

  #show(characters: Buffer | string): void {
    for (const person of this.#people.keys()) {
      this.#stir(person)
      if (person.writableLength > mostUnread) person.destroy()
      else person.write(characters)
    }
  }

  /** Opens the line, again and again after growing pauses, until there is one or nobody is left. */
  async #keepOpen(): Promise<void> {
    if (this.#opening || this.#line) return
    const opening = new AbortController()
    this.#opening = opening
    const { signal } = opening
    try {
      while (!signal.aborted) {
        // Two who take the line from each other do so less and less often.
        if (this.#pauseMs > 0) await passed(this.#pauseMs, signal)
        if (signal.aborted) return
        this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, pausesMs.first), pausesMs.longest)
        try {
          const line = await this.#options.open(this.#events(), signal)
          if (signal.aborted) await line.close()
          else this.#line = line
          return
        } catch (error) {
          if (signal.aborted) return
          this.#options.log.warn({}, `the serial console cannot be opened: ${messageOf(error)}`)
          this.#show(`\r\n[console: ${messageOf(error)}; trying again]\r\n`)
        }
      }
    } finally {
      this.#opening = null
      // Somebody may have come while the last one's line was given up.
      if (this.#people.size > 0 && !this.#line) void this.#keepOpen()
    }
  }

  #events(): SerialEvents {
    const sinceMs = performance.now()
    return {
      data: characters => this.#show(characters),
      end: why => {
        this.#line = null
        if (performance.now() - sinceMs > goodMs) this.#pauseMs = 0
        this.#options.log.info({}, `the serial console broke off: ${why}`)
        this.#show(`\r\n[console: ${why}; connecting again]\r\n`)
        if (this.#people.size > 0) void this.#keepOpen()
      },
    }
  }
}

function passed(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
}
