/** The serial console against a simulated BMC over real UDP, by TCP as operators come. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startFakeBmc } from '#lab/ipmi/fake-bmc.ts'
import type { BmcOptions } from '#lab/ipmi/options.ts'
import type { PortOptions } from '#lab/ipmi/server.ts'
import { commands } from '#protocol/ipmi/commands.ts'
import { decodePacket, payloadTypes } from '#protocol/ipmi/packet.ts'
import { clientOf } from './clients.ts'
import console from './console.ts'
import { change, user, worldOf } from './ipmi-world.ts'
import { openSol } from './sol.ts'

interface Given {
  bmc?: Partial<BmcOptions>
  port?: PortOptions
}

async function world(given: Given = {}) {
  const w = await worldOf(await startFakeBmc({ users: [user], ...given.bmc }, given.port), {})
  const { config } = w.ctx
  // Nobody else is to reach the consoles of a test.
  const local = { ...config, console: { ...config.console, socat_address: '127.0.0.1' } }
  return Object.assign(w, { ctx: Object.assign(w.ctx, { config: local }) })
}

/** Somebody at the console, and all that was shown. */
async function person(url: string | undefined) {
  const { hostname, port } = new URL(url ?? '')
  const socket: Socket = connect({ host: hostname, port: Number(port) })
  const shown = { text: '' }
  socket.on('data', bytes => {
    shown.text += bytes.toString('latin1')
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return {
    shown,
    type: (text: string) => socket.write(text),
    closed: once(socket, 'close'),
    async sees(what: RegExp) {
      for (const endMs = Date.now() + 60_000; !what.test(shown.text); ) {
        assert.ok(Date.now() < endMs, `${what} never came, but ${JSON.stringify(shown.text)}`)
        await sleep(5)
      }
    },
    [Symbol.dispose]: () => socket.destroy(),
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const endMs = Date.now() + 60_000; !holds(); ) {
    assert.ok(Date.now() < endMs, `never: ${what}`)
    await sleep(5)
  }
}

test('what the machine writes is shown to all, what anybody types arrives, and nobody there holds the BMC', async () => {
  await using w = await world()
  const { serial } = w.hardware
  assert.equal(await console.access(w.ctx), null)
  await console.start(w.ctx)
  const access = await console.access(w.ctx)
  assert.match(access?.url ?? '', /^tcp:\/\/127\.0\.0\.1:\d+$/)
  assert.equal(access?.type, 'socat')
  await console.start(w.ctx)
  assert.deepEqual(await console.access(w.ctx), access, 'started again: the same')
  assert.equal(w.bmc.sessions.opened, 0)
  using one = await person(access?.url)
  await until('a session', () => w.bmc.commands.includes('06/48'))
  serial.write('login: ')
  await one.sees(/login: $/)
  using two = await person(access?.url)
  const long = 'x'.repeat(3000)
  serial.write(long)
  await Promise.all([one.sees(/x{3000}/), two.sees(/x{3000}/)])
  one.type('root\r')
  two.type('y'.repeat(1000))
  await until('all typed', () => serial.typed.length === 1005)
  assert.match(serial.typed, /root\r/)
  one[Symbol.dispose]()
  two[Symbol.dispose]()
  await until('the port is free', () => w.bmc.commands.includes('06/49') && w.bmc.sessions.size === 0)
  await console.stop(w.ctx)
  assert.equal(await console.access(w.ctx), null)
})

test('lost packets: every character once and in order', async () => {
  let chance = 11
  let lost = 0
  const loses = (_way: string, datagram: Buffer) => {
    const packet = decodePacket(datagram)
    if (packet?.kind !== '2.0' || packet.payloadType !== payloadTypes.sol) return false
    chance = (chance * 1103515245 + 12345) % 2 ** 31
    const isLost = chance / 2 ** 31 < 0.25
    if (isLost) lost += 1
    return isLost
  }
  await using w = await world({ port: { loses } })
  await console.start(w.ctx)
  using one = await person((await console.access(w.ctx))?.url)
  await until('a session', () => w.bmc.commands.includes('06/48'))
  const numbers = Array.from({ length: 240 }, (_, index) => `${index};`).join('')
  w.hardware.serial.write(numbers)
  one.type(numbers)
  await until('all typed', () => w.hardware.serial.typed.length >= numbers.length)
  assert.equal(w.hardware.serial.typed, numbers)
  await one.sees(/239;$/)
  assert.equal(one.shown.text, numbers)
  assert.ok(lost > 0)
})

test('a port that another holds is taken over; one that is lost is connected to again', async () => {
  await using w = await world()
  const { serial } = w.hardware
  const activations = () => w.bmc.commands.filter(each => each === '06/48').length
  await console.start(w.ctx)
  using one = await person((await console.access(w.ctx))?.url)
  await until('a session', () => activations() === 1)
  serial.write('first')
  await one.sees(/first/)

  // Another conductor, which knows nothing of this one.
  const info = { port: { port: w.port.port }, [Symbol.asyncDispose]: async () => {} }
  await using other = await worldOf(info, {})
  Object.assign(other.ctx, { config: w.ctx.config })
  await console.start(other.ctx)
  {
    using two = await person((await console.access(other.ctx))?.url)
    await one.sees(/\[console: the BMC at .* gave its serial port to another; connecting again\]/)
    serial.write('second')
    await until('somebody sees it', () => /second/.test(one.shown.text + two.shown.text))
  }
  await console.stop(other.ctx)
  await until('it is heard again', () => {
    serial.write('.')
    return /\.$/.test(one.shown.text)
  })
})

test('a BMC that restarted is noticed when it takes nothing any more', async () => {
  await using w = await world()
  const ended: string[] = []
  const heard: string[] = []
  const events = {
    data: (characters: Buffer) => void heard.push(characters.toString()),
    end: (why: string) => void ended.push(why),
  }
  const line = await openSol(clientOf(w.ctx), events, { signal: w.ctx.signal, resendMs: 10 })
  w.hardware.serial.write('there')
  await until('heard', () => heard.join('') === 'there')
  w.bmc.sessions.clear()
  line.write(Buffer.from('x'))
  await until('the end', () => ended.length > 0)
  assert.match(ended.join(), /^the BMC at 127\.0\.0\.1:\d+ takes no characters any more$/)
})

test('why there is no console is shown', async () => {
  const before = ({ command }: { command: number }) => (command === commands.app.activatePayload ? 0x81 : undefined)
  await using w = await world({ bmc: { before } })
  await console.start(w.ctx)
  using one = await person((await console.access(w.ctx))?.url)
  await one.sees(/\[console: The BMC at 127\.0\.0\.1:\d+ refused .*switched off in the BMC \(0x81\); trying again\]/)
  change(w.ctx, { ipmi_protocol_version: '1.5', ipmi_password: 'short' })
  await assert.rejects(console.validate(w.ctx), /ipmi_protocol_version is 1\.5, which has none; expected 2\.0/)
})

test('a port of its own, a range, and ports that are taken', async () => {
  await using w = await world()
  await console.start(w.ctx)
  const taken = Number(new URL((await console.access(w.ctx))?.url ?? '').port)
  await using other = await world()
  change(other.ctx, { ipmi_terminal_port: taken })
  await assert.rejects(console.start(other.ctx), new RegExp(`tried port ${taken}, .*EADDRINUSE`))
  change(other.ctx, { ipmi_terminal_port: '' })
  const { config } = other.ctx
  const within = (port_range: string[]) =>
    Object.assign(other.ctx, { config: { ...config, console: { ...config.console, port_range } } })
  within([`${taken}:${taken}`])
  await assert.rejects(console.start(other.ctx), /tried port \d+/)
  within(['9:1'])
  await assert.rejects(console.start(other.ctx), /\[console\] port_range: found "9:1", expected FIRST:LAST/)
})
