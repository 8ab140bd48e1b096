/** Waiting until a node of another service is as it was asked to be, and nobody works on it any more. */
import { Fault } from '#lib/fault.ts'
import type { Api } from '../client.ts'
import type { Item } from '../command.ts'
import type { Terminal } from '../terminal.ts'

/** A node did not become what it was asked to be. */
export class NotArrived extends Fault {
  readonly status = 409
  readonly code = 'not-arrived'
}

const pollMs = 200
const limitMs = 120_000

/** @param wanted fields and their values @throws NotArrived after two minutes, or when the node came to rest elsewhere */
export async function arrived(
  api: Api,
  path: string,
  wanted: Item,
  { now, sleep }: Pick<Terminal, 'now' | 'sleep'>,
): Promise<void> {
  const beganMs = now()
  for (;;) {
    const node = await api.get(path)
    const free = node.reservation === null || node.reservation === undefined
    if (free && Object.entries(wanted).every(([name, value]) => node[name] === value)) return
    const failed = String(node.provision_state).endsWith(' failed') && free
    if (failed || now() - beganMs > limitMs) {
      const found = Object.keys(wanted).map(name => `${name} ${JSON.stringify(node[name])}`)
      const expected = Object.entries(wanted).map(([name, value]) => `${name} ${JSON.stringify(value)}`)
      const why = typeof node.last_error === 'string' ? `: ${node.last_error}` : ''
      throw new NotArrived(`Cannot lead the node on: found ${found.join(', ')}, expected ${expected.join(', ')}${why}`)
    }
    await sleep(pollMs)
  }
}
