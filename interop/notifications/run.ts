/**
 * `npm run interop:notifications`: Ironic's notifications over a real RabbitMQ, heard by oslo.messaging as any consumer of
 * OpenStack hears them. A simulated machine is managed and inspected; before the inspection the bus is stopped, after it
 * started again, and nothing may be missing. Needs root where the Debian packages are not installed yet.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureHostPackages, forNotifications, HostPackagesMissing } from '#lab/host-packages.ts'
import { brisk } from '#sim/settings.ts'
import { Site } from '#sim/site.ts'
import { broker } from './broker.ts'

interface Heard {
  readonly priority: string
  readonly event_type: string
  readonly payload: { readonly 'ironic_object.data': { readonly name: string; readonly provision_state: string } }
}

const limitMs = 180_000

try {
  await ensureHostPackages(forNotifications, line => console.log(line))
  await test()
  console.log('notifications: passed')
} catch (error) {
  if (!(error instanceof HostPackagesMissing)) throw error
  console.log(`notifications: skipped, for there is no RabbitMQ to try it with: ${error.message}`)
}

async function test(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-notifications-'))
  await using held = new AsyncDisposableStack()
  held.defer(() => rm(directory, { recursive: true, force: true }))
  const bus = await broker(join(directory, 'bus'))
  held.defer(() => bus.stop())
  await bus.start()
  const url = `rabbit://guest:guest@127.0.0.1:${bus.port}/`
  const heard: Heard[] = []
  const listen = () => listening(url, message => heard.push(message))
  const site = await Site.start({
    directory: join(directory, 'site'),
    nodes: 1,
    settings: brisk,
    config: {
      DEFAULT: { notification_level: 'info' },
      oslo_messaging_notifications: { driver: 'messagingv2', transport_url: url },
    },
  })
  held.defer(() => site.stop())
  const [machine] = site.fleet.machines
  assert.ok(machine)
  const become = async (target: string, state: string) => {
    const path = `/v1/nodes/${machine.name}`
    await site.service.api.put(`${path}/states/provision`, { target })
    await until(`it is ${state}`, async () => (await site.service.api.get(path)).provision_state === state)
  }
  const moves = () => heard.filter(({ event_type }) => event_type.startsWith('baremetal.node.provision_set.'))
  const states = () => moves().map(({ payload }) => payload['ironic_object.data'].provision_state)
  await site.enrol(machine)
  let stopListening = await listen()
  await become('manage', 'manageable')
  await until('its management is heard of', async () => states().includes('manageable'))
  console.log(`heard of: ${heard.map(({ event_type, priority }) => `${event_type} (${priority})`).join(', ')}`)

  await stopListening()
  await bus.stop()
  await become('inspect', 'manageable')
  await bus.start()
  stopListening = await listen()
  await until(
    'what happened meanwhile is heard of',
    async () => states().length > 3 && states().at(-1) === 'manageable',
  )
  await stopListening()
  assert.deepEqual(states().slice(0, 3), ['verifying', 'manageable', 'inspecting'])
  assert.equal(moves().at(-1)?.event_type, 'baremetal.node.provision_set.end')
  for (const { payload } of heard) assert.equal(payload['ironic_object.data'].name, machine.name)
  console.log(`heard of, with the bus away in between: ${states().join(', ')}`)
}

/** @returns what ends it */
async function listening(url: string, onMessage: (message: Heard) => void): Promise<() => Promise<void>> {
  const child = spawn('/usr/bin/python3', [join(import.meta.dirname, 'listen.py'), url], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ready = Promise.withResolvers<void>()
  const gone = new Promise<void>(resolve => child.on('exit', () => resolve()))
  void gone.then(() => ready.reject(new Error('the listener ended before it listened')))
  createInterface(child.stdout).on('line', line => {
    const told: Heard | { listening: true } = JSON.parse(line) // of listen.py
    if ('listening' in told) ready.resolve()
    else onMessage(told)
  })
  await ready.promise
  return async () => {
    child.stdin.end()
    await gone
  }
}

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const limit = performance.now() + limitMs
  while (!(await look())) {
    if (performance.now() > limit) throw new Error(`Waited in vain: ${what}`)
    await sleep(200)
  }
}
