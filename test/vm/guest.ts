/**
 * One QEMU machine for a test that needs no lab around it: user networking on loopback, its serial port as text, its
 * power button. Emulated, so that it runs anywhere; ends with the test. Needs no root.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Qmp } from '#lab/qmp.ts'

export class Guest {
  /** All that the serial port said so far, as it came: in pieces that may part a control sequence. */
  #said = ''
  readonly #process: ChildProcess
  readonly #directory: string
  readonly #startedAt = performance.now()
  readonly #ended: Promise<unknown>

  private constructor(process: ChildProcess, directory: string) {
    this.#process = process
    this.#directory = directory
    this.#ended = once(process, 'close')
    process.stdout?.setEncoding('utf8')
    process.stdout?.on('data', (chunk: string) => {
      this.#said += chunk
    })
    let errors = ''
    process.stderr?.setEncoding('utf8')
    process.stderr?.on('data', (chunk: string) => {
      errors += chunk
    })
    this.#ended.then(() => {
      this.#said += `\n[QEMU ended] ${errors}`
    })
  }

  /** Switches on a machine with `args` beside those that all of them have. */
  static async start(options: { memoryMb: number; args: readonly string[] }): Promise<Guest> {
    const directory = await mkdtemp(join(tmpdir(), 'ferrite-guest-'))
    const machine = ['-accel', 'tcg', '-cpu', 'max', '-machine', 'q35', '-m', `${options.memoryMb}`]
    const bare = ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio']
    const control = ['-qmp', `unix:${directory}/qmp,server=on,wait=off`]
    const all = [...machine, ...bare, ...control, '-device', 'virtio-rng-pci', ...options.args]
    return new Guest(spawn('qemu-system-x86_64', all, { stdio: ['pipe', 'pipe', 'pipe'] }), directory)
  }

  /** All that the serial port said so far, without colours. */
  get text(): string {
    return this.#said.replaceAll(/\x1b\[[0-9;?=]*[a-zA-Z]|\x1bc|\r/g, '')
  }

  /** Seconds since power on. */
  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1000
  }

  /** Waits until the serial port has said something like `pattern`. @throws with its last lines after `limitMs` */
  async waitFor(pattern: RegExp, limitMs: number): Promise<RegExpExecArray> {
    const deadline = performance.now() + limitMs
    for (;;) {
      const match = pattern.exec(this.text)
      if (match !== null) return match
      if (performance.now() > deadline) {
        const tail = this.text.split('\n').slice(-30).join('\n')
        throw new Error(`The serial port did not show ${pattern} within ${limitMs} ms; its last lines:\n${tail}`)
      }
      await sleep(50)
    }
  }

  /** Types a line at the serial port. */
  type(line: string): void {
    this.#process.stdin?.write(`${line}\n`)
  }

  async pressPowerButton(): Promise<void> {
    const qmp = await Qmp.open(`${this.#directory}/qmp`, AbortSignal.timeout(5000))
    await qmp.execute('system_powerdown')
    qmp.close()
  }

  /** Waits until the machine has switched itself off. @throws with the serial port's last lines after `limitMs` */
  async waitForOff(limitMs: number): Promise<void> {
    await this.waitFor(/\[QEMU ended\]/, limitMs)
  }

  /** Takes the power away, if there still is any. */
  async stop(): Promise<void> {
    if (this.#process.exitCode === null) this.#process.kill('SIGKILL')
    await this.#ended
    await rm(this.#directory, { recursive: true, force: true })
  }
}

/** A port of 127.0.0.1 that nobody listens on. QEMU wants a number; somebody else could take it in between. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return address.port
}
