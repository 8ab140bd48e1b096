/**
 * Where the real servers of a scenario run: in a lab's network, or on this host's loopback for tests without machines.
 * Servers end with their place.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Place {
  /** Servers listen here; machines reach it. */
  readonly address: string
  /** A directory of the place, gone with it. */
  folder(name: string): Promise<string>
  spawn(command: string, args: readonly string[], options: SpawnOptions): ChildProcess
  /** The same server, as this process reaches it. */
  reach(url: string): Promise<string>
  /** Whether somebody listens on that port of `address`. */
  answers(port: number): Promise<boolean>
  /** Starts a program and returns once its port answers. @throws with the last lines of its log */
  server(options: ServerOptions): Promise<void>
}

/** How a server is started and known to run. */
export interface ServerOptions {
  /** Names its log. */
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Listens once it is up; of the place's address. */
  readonly port: number
}

const serverLimitMs = 120_000

/** @throws with the last lines of its log when it ends, or does not answer */
export async function startServer(
  place: Place,
  { name, command, args, env = {}, port }: ServerOptions,
): Promise<ChildProcess> {
  const logFile = join(await place.folder('logs'), `${name}.log`)
  const log = await open(logFile, 'a')
  const stdio: SpawnOptions['stdio'] = ['ignore', log.fd, log.fd]
  const child = place.spawn(command, args, { stdio, env: { ...process.env, ...env } })
  await log.close()
  // Whatever ends this process takes the server along.
  const onExit = () => child.kill('SIGKILL')
  process.once('exit', onExit)
  child.once('exit', () => process.off('exit', onExit))
  const limit = performance.now() + serverLimitMs
  for (;;) {
    if (await place.answers(port)) return child
    if (child.exitCode !== null || performance.now() > limit) {
      const words = (await readFile(logFile, 'utf8')).slice(-3000)
      await end(child)
      throw new Error(`${name} ${child.exitCode === null ? 'does not answer' : 'ended'}:\n${words}`)
    }
    await sleep(200)
  }
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await gone
  clearTimeout(timer)
}

/** Servers of this process, on the loopback. */
export class LoopbackPlace implements Place, AsyncDisposable {
  readonly address = '127.0.0.1'
  readonly #directory: string
  readonly #children: ChildProcess[] = []

  private constructor(directory: string) {
    this.#directory = directory
  }

  static async open(): Promise<LoopbackPlace> {
    return new LoopbackPlace(await mkdtemp(join(tmpdir(), 'ferrite-place-')))
  }

  async folder(name: string): Promise<string> {
    const path = join(this.#directory, name)
    await mkdir(path, { recursive: true })
    return path
  }

  spawn(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    return spawn(command, args, options)
  }

  async reach(url: string): Promise<string> {
    return url
  }

  answers(port: number): Promise<boolean> {
    return new Promise(resolve => {
      const socket = connect(port, this.address)
      const tell = (found: boolean) => {
        socket.destroy()
        resolve(found)
      }
      socket.once('connect', () => tell(true))
      socket.once('error', () => tell(false))
    })
  }

  async server(options: ServerOptions): Promise<void> {
    this.#children.push(await startServer(this, options))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await end(child)
    await rm(this.#directory, { recursive: true, force: true })
  }
}
