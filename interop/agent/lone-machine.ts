/**
 * A machine that nothing of ours is around: QEMU with its own network, whose host answers as a provisioning API does, as
 * small as the agent needs it. For ramdisks that are booted by hand, and on other processors.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FakeIronic, startFakeIronic } from '#agent/fake-ironic.ts'

/** An emulated processor, on a host that does other things. */
const limitMs = 900_000

export interface LoneMachine {
  /** `qemu-system-…` */
  program: string
  /** Processor, firmware and what is booted. */
  args: readonly string[]
  /** As its agent is to find it. */
  architecture: string
  bootMode: 'bios' | 'uefi'
}

/** Somewhere for files of the machine, and the API that it is going to ask. */
export class LoneWorld {
  readonly directory: string
  readonly #ironic: FakeIronic

  private constructor(directory: string, ironic: FakeIronic) {
    this.directory = directory
    this.#ironic = ironic
  }

  static async open(): Promise<LoneWorld> {
    return new LoneWorld(await mkdtemp(join(tmpdir(), 'ferrite-lone-')), await startFakeIronic())
  }

  /** The kernel's, without its console. The host's loopback is that address to the guest. */
  get parameters(): string {
    const url = this.#ironic.url.replace('127.0.0.1', '10.0.2.2')
    return `ipa-api-url=${url} ipa-inspection-callback-url=${url}/v1/continue_inspection ipa-inspection-collectors=default ipa-insecure=1`
  }

  /** A copy of a firmware's variables, which the machine may change. */
  async variables(template: string): Promise<string> {
    const file = join(this.directory, 'variables.fd')
    await copyFile(template, file)
    return file
  }

  /**
   * Boots, and waits for what the agent tells of the machine and for its first heartbeat.
   * @returns seconds from power on to the heartbeat
   */
  async boot({ program, args, architecture, bootMode }: LoneMachine): Promise<number> {
    const card = ['-netdev', 'user,id=net0', '-device', 'virtio-net-pci,netdev=net0,romfile=']
    const bare = ['-accel', 'tcg', '-m', '1024', '-nodefaults', '-display', 'none', '-serial', 'stdio']
    const machine = spawn(program, [...bare, ...card, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [machine.stdout, machine.stderr]) stream.on('data', text => (said += text))
    const ended = new Promise<never>((_resolve, reject) => {
      machine.once('error', reject)
      machine.once('exit', status => reject(new Error(`${program} ended with status ${status}`)))
    })
    const startedMs = performance.now()
    try {
      const late = sleep(limitMs, undefined, { ref: false }).then(() => {
        throw new Error(`no heartbeat within ${limitMs} ms`)
      })
      await Promise.race([this.#ironic.heartbeat(1), ended, late])
    } catch (error) {
      throw new Error(`${error}; the console says:\n${said.slice(-4000)}`)
    } finally {
      ended.catch(() => {})
      machine.kill('SIGKILL')
    }
    const seconds = (performance.now() - startedMs) / 1000
    const [told] = this.#ironic.inspections as { inventory: { cpu: object; boot: object } }[] // as our agent posts it
    assert.ok(told, 'the agent told of the machine before it called')
    assert.partialDeepStrictEqual(told.inventory, {
      cpu: { architecture },
      boot: { current_boot_mode: bootMode },
    })
    return seconds
  }

  async close(): Promise<void> {
    await this.#ironic.close()
    await rm(this.directory, { recursive: true, force: true })
  }
}
