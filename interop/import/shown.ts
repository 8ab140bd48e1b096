/** What `baremetal node show` prints of every node, to be compared between services, and what may differ. */
import assert from 'node:assert/strict'
import type { Baremetal, Row } from '../clients/baremetal.ts'

/** Fields that differ between any two services, with why. */
export const differsAlways: Readonly<Record<string, string>> = {
  conductor: 'the host name of the process that serves the node',
  reservation: 'whoever works on the node now',
}

/** Fields that the public API of an Ironic leaves to it alone, so that a node that is made there has its own. */
export const differsInIronic: Readonly<Record<string, string>> = {
  ...differsAlways,
  created_at: 'when it was made there',
  updated_at: 'when it was written there last',
  provision_updated_at: 'when it came to its state there',
  driver_internal_info: 'notes of its conductor and drivers',
  last_error: 'the last failure there',
}

/** @param names to be shown, each by a call of its own, as an operator does */
export async function showAll(client: Baremetal, names: readonly string[]): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>()
  const queue = [...names]
  const show = async () => {
    for (let name = queue.pop(); name !== undefined; name = queue.pop())
      rows.set(name, await client.show('node show', name))
  }
  await Promise.all([show(), show()])
  return rows
}

/** @throws naming the first node and field that differ */
export function assertSame(
  found: ReadonlyMap<string, Row>,
  expected: ReadonlyMap<string, Row>,
  mayDiffer: Readonly<Record<string, string>>,
): void {
  for (const [name, row] of found) {
    const other = expected.get(name)
    assert.ok(other, `${name} was not there before`)
    const plain = (one: Row) =>
      Object.fromEntries(Object.entries(one).filter(([field]) => !Object.hasOwn(mayDiffer, field)))
    assert.deepEqual(plain(row), plain(other), name)
  }
}
