/**
 * A machine's serial port: everything it writes is kept in a log as it is, and as lines with times; whoever connects to
 * the console's socket sees it live and can type. The port outlives the machine's power, like the cable it stands for.
 */
import { createWriteStream, type WriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { HardwareSerial } from './redfish/hardware.ts'
import { socketPath } from './sockets.ts'

/** An unfinished line, such as a prompt, is logged when nothing follows for this long. */
const IDLE_MS = 250
/** A line without end is cut here. */
const MAX_LINE = 4096
/** A console client that does not read is dropped rather than kept in memory. */
const MAX_UNREAD_BYTES = 1 << 20

export class SerialPort {
  readonly #raw: WriteStream
  readonly #timed: WriteStream
  readonly #server: Server
  readonly #clients = new Set<Socket>()
  readonly #listeners = new Set<(characters: Buffer) => void>()
  readonly #lines: LineReader
  #input: Writable | null = null
  #poweredOnAtMs = Date.now()

  /** @param files absolute paths; the logs are appended to, the socket is made anew */
  constructor(files: { rawLog: string; timedLog: string }) {
    this.#raw = createWriteStream(files.rawLog, { flags: 'a' })
    this.#timed = createWriteStream(files.timedLog, { flags: 'a' })
    this.#lines = new LineReader(line => this.#stamp(line))
    this.#server = createServer(socket => this.#serve(socket))
  }

  async listen(path: string): Promise<void> {
    await rm(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(socketPath(path), resolve)
    })
  }

  /** The machine has power: seconds count from here, and what is typed goes to `input`. */
  attach(input: Writable, title: string): void {
    this.#poweredOnAtMs = Date.now()
    this.#input = input
    // Typing into a machine that just lost power breaks the pipe; nobody has to know.
    input.on('error', () => {})
    this.mark(title)
  }

  detach(title: string): void {
    this.#input = null
    this.#lines.flush()
    this.mark(title)
  }

  /** A line of ours in the timed log, told apart by its dashes. */
  mark(text: string): void {
    this.#stamp(`--- ${text}`)
  }

  /** What the cable to a BMC is plugged into. */
  readonly plug: HardwareSerial = {
    type: characters => void this.#input?.write(characters),
    listen: heard => {
      this.#listeners.add(heard)
      return () => void this.#listeners.delete(heard)
    },
  }

  write(bytes: Buffer): void {
    this.#raw.write(bytes)
    this.#lines.push(bytes)
    for (const heard of this.#listeners) heard(bytes)
    for (const client of this.#clients) {
      if (client.writableLength > MAX_UNREAD_BYTES) client.destroy()
      else client.write(bytes)
    }
  }

  async close(): Promise<void> {
    this.#lines.flush()
    for (const client of this.#clients) client.destroy()
    await Promise.all([
      new Promise<void>(resolve => this.#server.close(() => resolve())),
      new Promise<void>(resolve => this.#raw.end(resolve)),
      new Promise<void>(resolve => this.#timed.end(resolve)),
    ])
  }

  #serve(socket: Socket): void {
    this.#clients.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#clients.delete(socket))
    socket.on('data', bytes => this.#input?.write(bytes))
  }

  #stamp(line: string): void {
    const now = Date.now()
    const seconds = ((now - this.#poweredOnAtMs) / 1000).toFixed(2).padStart(8)
    this.#timed.write(`${new Date(now).toISOString()} ${seconds} ${line}\n`)
  }
}

/** Cuts a terminal's bytes into lines of plain text. Moving the cursor ends a line, as firmware menus do. */
export class LineReader {
  readonly #emit: (line: string) => void
  readonly #decoder = new TextDecoder()
  #rest = ''
  #idle: NodeJS.Timeout | undefined

  constructor(emit: (line: string) => void) {
    this.#emit = emit
  }

  push(bytes: Uint8Array): void {
    clearTimeout(this.#idle)
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split(/\n|\x1b\[[0-9;]*[Hf]/)
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#line(line)
    if (this.#rest.length > MAX_LINE) this.flush()
    // A half-read control sequence stays until its end arrives.
    else if (this.#rest !== '') this.#idle = setTimeout(() => this.flush(), IDLE_MS).unref()
  }

  flush(): void {
    clearTimeout(this.#idle)
    const rest = this.#rest
    this.#rest = ''
    this.#line(rest)
  }

  #line(text: string): void {
    const plain = text.replace(/\x1b\[[0-9;?=]*[a-zA-Z]|\x1b[c()][0B]?|[\0\r\x07\x08]/g, '').trimEnd()
    if (plain !== '') this.#emit(plain)
  }
}
