/** What images are asked for with, of one node in a process of its own. For tests. */
import { loadConfig, type Overrides } from '#config/load.ts'
import { silent } from '#lib/log.ts'
import type { ImageContext } from './instance.ts'

export interface TestNode {
  readonly instance_info: Record<string, unknown>
  readonly driver_info?: Record<string, unknown>
  readonly properties?: Record<string, unknown>
}

/** @param statePath a directory for what the service keeps; the caller removes it */
export async function imageContext(
  statePath: string,
  { instance_info, driver_info = {}, properties = {} }: TestNode,
  overrides: Overrides = {},
): Promise<ImageContext & AsyncDisposable> {
  const made = new Map<symbol, object>()
  const config = await loadConfig({
    overrides: {
      ...overrides,
      DEFAULT: { state_path: statePath, ...overrides.DEFAULT },
      deploy: { http_url: 'http://127.0.0.1:1', ...overrides.deploy },
    },
  })
  return {
    node: { uuid: 'a1b2c3d4-0000-4000-8000-000000000001', instance_info, driver_info, properties },
    config,
    log: silent,
    signal: AbortSignal.timeout(120_000),
    agent: null,
    shared: (key, make) => {
      if (!made.has(key)) made.set(key, make())
      return made.get(key) as ReturnType<typeof make> // one key is one type
    },
    async [Symbol.asyncDispose]() {
      for (const thing of made.values() as Iterable<Partial<AsyncDisposable>>) await thing[Symbol.asyncDispose]?.()
    },
  }
}
