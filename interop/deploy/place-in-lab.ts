/** A place for real servers in a lab's network namespace: machines reach it, this process through forwarded ports. */
import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lab } from '#lab/lab.ts'
import { end, type Place, type ServerOptions, startServer } from './place.ts'

export class PlaceInLab implements Place {
  readonly #lab: Lab
  readonly #directory: string
  readonly #children: ChildProcess[] = []
  readonly #forwards: { close(): Promise<void> }[] = []

  /** @param directory holds the folders of the place; removed by whoever made it */
  constructor(lab: Lab, directory: string) {
    this.#lab = lab
    this.#directory = directory
  }

  /** Ends the servers; the lab stays. */
  async close(): Promise<void> {
    for (const child of this.#children) await end(child)
    for (const forward of this.#forwards) await forward.close()
  }

  /** This host as the machine reaches it: servers listen here. */
  get address(): string {
    return this.#lab.state.network.address
  }

  /** A new directory of the place, gone with it. */
  async folder(name: string): Promise<string> {
    const path = join(this.#directory, name)
    await mkdir(path, { recursive: true })
    return path
  }

  spawn(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    return this.#lab.spawn(command, args, options)
  }

  async reach(url: string): Promise<string> {
    const { hostname, port, pathname } = new URL(url)
    const forward = await this.#lab.forward(hostname, Number(port))
    this.#forwards.push(forward)
    return `http://127.0.0.1:${forward.port}${pathname === '/' ? '' : pathname}`
  }

  async answers(port: number): Promise<boolean> {
    const socket = await this.#lab.connect(this.address, port).catch(() => undefined)
    socket?.destroy()
    return socket !== undefined
  }

  async server(options: ServerOptions): Promise<void> {
    this.#children.push(await startServer(this, options))
  }
}
