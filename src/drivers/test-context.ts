/** A node's context for the tests of drivers: real configuration, a node with few fields, time that passes at once. */
import { loadConfig, type Overrides } from '#config/load.ts'
import type { Node } from '#db/nodes.ts'
import type { Port } from '#db/ports.ts'
import type { Volumes } from '#db/volumes.ts'
import type { Clock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import type { Interfaces, NodeContext } from './driver.ts'

export interface TestContext extends NodeContext {
  node: Node
  /** Pauses that were asked for, in milliseconds. */
  readonly pauses: number[]
  /** Closes what was shared. */
  [Symbol.asyncDispose](): Promise<void>
}

export async function testContext(given: {
  node?: Partial<Node>
  ports?: Partial<Port>[]
  config?: Overrides
  interfaces?: Partial<Interfaces>
  volumes?: Volumes
  signal?: AbortSignal
}): Promise<TestContext> {
  const made = new Map<symbol, object>()
  const pauses: number[] = []
  let now = 1_700_000_000_000
  const clock: Clock = {
    now: () => now,
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      pauses.push(ms)
      now += ms
    },
  }
  const blank = {
    uuid: '11111111-2222-4333-8444-555555555555',
    name: 'node-1',
    driver_info: {},
    driver_internal_info: {},
    instance_info: {},
    properties: {},
    power_state: null,
    provision_state: 'manageable',
  }
  return {
    node: { ...blank, ...given.node } as Node, // drivers read no other fields
    ports: (given.ports ?? []).map(port => ({ pxe_enabled: true, ...port }) as Port), // nor these
    config: await loadConfig({ overrides: given.config ?? {} }),
    interfaces: (given.interfaces ?? {}) as Interfaces, // a test gives those that are used
    agent: null,
    volumes: async () => given.volumes ?? { targets: [], connectors: [] },
    portsChanged: async () => {},
    log: silent,
    clock,
    signal: given.signal ?? new AbortController().signal,
    pauses,
    shared<T extends object>(key: symbol, make: () => T): T {
      const known = made.get(key) ?? make()
      made.set(key, known)
      return known as T // only made by `make` for this key
    },
    async [Symbol.asyncDispose]() {
      for (const value of made.values()) {
        const dispose = (value as Partial<AsyncDisposable>)[Symbol.asyncDispose]
        if (dispose) await dispose.call(value)
      }
    },
  }
}
