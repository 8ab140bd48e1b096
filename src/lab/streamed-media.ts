/**
 * An image that somebody sends to a BMC instead of having it fetched: a stream on which the sender speaks NBD and the BMC
 * asks for blocks. QEMU's own tool reads it, as the kernel of a real BMC does, and keeps it for a machine that is switched
 * off and on again meanwhile.
 *
 * Source: openbmc/docs, designs/virtual-media.md ("proxy mode"); qemu-nbd(8).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { MediaUnreachable } from './media.ts'

const START_LIMIT_MS = 60_000

export class StreamedMedia {
  /** Where machines read the image: a unix socket that speaks NBD, for as many as want. */
  readonly socket: string
  /** Settles when the sender went, or the reader ended. */
  readonly ended: Promise<void>
  readonly #directory: string
  readonly #server: Server
  readonly #reader: ChildProcess
  readonly #stream: Duplex

  /** @throws MediaUnreachable when what comes is no image */
  static async open(stream: Duplex): Promise<StreamedMedia> {
    // Short, for the path of a socket may have 107 characters.
    const directory = await mkdtemp(join(tmpdir(), 'ferrite-nbd-'))
    const server = createServer({ pauseOnConnect: true }, reader => {
      // One sender has one reader.
      server.close()
      stream.pipe(reader).pipe(stream)
      reader.on('error', () => stream.destroy())
      reader.resume()
    })
    stream.on('error', () => stream.destroy())
    server.listen(join(directory, 'in'))
    await once(server, 'listening')
    const media = new StreamedMedia(directory, server, stream)
    try {
      await media.#isReadable()
    } catch (error) {
      await media.close()
      throw error
    }
    return media
  }

  private constructor(directory: string, server: Server, stream: Duplex) {
    this.#directory = directory
    this.#server = server
    this.#stream = stream
    this.socket = join(directory, 'out')
    const source = `nbd+unix:///?socket=${join(directory, 'in')}`
    const options = ['--read-only', '--persistent', '--shared=16', '--format=raw', `--socket=${this.socket}`]
    // The kernel ends it with us.
    this.#reader = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-nbd', ...options, source], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const gone = once(this.#reader, 'close').catch(() => undefined)
    this.ended = Promise.race([gone, once(stream, 'close').catch(() => undefined)]).then(() => undefined)
  }

  async close(): Promise<void> {
    this.#stream.destroy()
    this.#server.close()
    if (this.#reader.exitCode === null && this.#reader.signalCode === null) {
      const closed = once(this.#reader, 'close').catch(() => undefined)
      this.#reader.kill('SIGKILL')
      await closed
    }
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** The reader listens once it has agreed with the sender on what there is to read. */
  async #isReadable(): Promise<void> {
    let said = ''
    this.#reader.stderr?.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString()).slice(-500)
    })
    let isOver = false
    void this.ended.then(() => {
      isOver = true
    })
    const untilMs = Date.now() + START_LIMIT_MS
    while (!(await answers(this.socket))) {
      if (isOver || Date.now() > untilMs) {
        throw new MediaUnreachable(`Cannot insert what is sent: ${said.trim() || 'it is no image'}`)
      }
      await sleep(20)
    }
  }
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
