/**
 * Our agent in a real machine, and no interoperation: what its ramdisk tells while it boots reaches ferrite node logs,
 * also when the agent cannot so much as read its options and never calls.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { bootLimitMs, World } from '../../../test/vm/world.ts'
import type { Scenario } from '../scenario.ts'

const console_ = 'nofb vga=normal console=tty0 console=ttyS0,115200'
const secret = 'ipa-agent-token=not-for-everybody'

async function run(): Promise<readonly string[]> {
  const broken = { pxe: { kernel_append_params: `${console_} ipa-lookup-timeout=soon ${secret}` } }
  const world = await World.open({ name: 'interop-logs', firmware: 'bios', config: broken })
  try {
    const notes: string[] = []
    await world.enrol()
    await world.bring('manage', 'manageable')
    const [nic] = world.machine.nics
    await world.service.api.create('/v1/ports', { node_uuid: world.uuid, address: nic?.mac })

    await world.ask('provide')
    const failing = await told(world, /Cannot read kernel parameter ipa-lookup-timeout.*expected a number/)
    assert.match(failing.text, /^\[ *0\.00\] Linux version /m, 'the log begins with the kernel')
    assert.match(failing.text, /ipa-agent-token=\*{6}/)
    assert.ok(!failing.text.includes('not-for-everybody'), 'the secret of the command line is masked')
    assert.equal((await world.node()).provision_state, 'clean wait')
    notes.push(
      `read ${failing.seconds} s after power-on, from an agent that never called: ${failing.text.length} bytes`,
    )

    await world.bring('abort', 'clean failed')
    // The command line is made when a boot is prepared.
    await world.startService({ pxe: { kernel_append_params: console_ } })
    await world.bring('manage', 'manageable')
    await world.bring('provide', 'available')
    const whole = await told(world, /Command clean\.execute_clean_step succeeded/)
    assert.match(whole.text, /^\[ *0\.00\] Linux version /m)
    assert.match(whole.text, /This machine is node /)
    const stamps = [...whole.text.matchAll(/^\[ *(\d+\.\d+)\]/gm)].map(([, seconds]) => Number(seconds))
    const late = stamps.filter((seconds, at) => seconds < Math.max(...stamps.slice(0, at)) - 5)
    assert.deepEqual(late, [], 'lines come in the order of their time, within seconds')
    notes.push(`of a whole cleaning: ${whole.text.length} bytes, ${stamps.length} lines`)
    const { ramdisk_logs: boots } = await world.service.api.get(`/v1/nodes/${world.uuid}/ramdisk_logs`)
    assert.ok(Array.isArray(boots) && boots.length >= 2, 'both boots are kept')
    return notes
  } catch (error) {
    console.error(await world.service.lastLines(30))
    console.error(`the machine's console:\n${(await world.lab.serialText(world.machine.name)).text.slice(-4000)}`)
    throw error
  } finally {
    await world.close()
  }
}

/** Waits until the newest boot has told that. */
async function told(world: World, pattern: RegExp): Promise<{ text: string; seconds: number }> {
  const { api } = world.service
  const path = `/v1/nodes/${world.uuid}/ramdisk_logs`
  const began = performance.now()
  for (;;) {
    const { ramdisk_logs: boots } = (await api.get(path)) as unknown as { ramdisk_logs: { boot_id: string }[] } // its schema
    const [newest] = boots
    const text = newest ? String((await api.get(`${path}/${newest.boot_id}`)).text) : ''
    const seconds = Math.round((performance.now() - began) / 1000)
    if (pattern.test(text)) return { text, seconds }
    assert.ok(seconds * 1000 < bootLimitMs, `the log never had ${pattern}; it ends with\n${text.slice(-2000)}`)
    await sleep(500)
  }
}

export default {
  name: 'ramdisk-logs',
  title: 'the log of our ramdisk reaches our service, also from an agent that cannot start',
  packages: [],
  run,
} satisfies Scenario
