import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addNode } from '#conductor/test-engine.ts'
import { portsOf } from '#db/ports.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { FlowContext } from '../driver.ts'
import { testContext } from '../test-context.ts'
import { portsFrom } from './inspect-hooks.ts'

test('a MAC address that another node has is left to it, and the other interfaces become ports', async () => {
  const db = await freshDatabase()
  const found = async (address: string, pxe: boolean, mine: string) => {
    const ctx = { ...(await testContext({ node: { uuid: mine } })), db } as unknown as FlowContext // portsFrom asks no flow
    await portsFrom(
      ctx,
      [
        { address: '52:54:00:00:00:01', pxe: true },
        { address, pxe },
      ],
      { keep: 'all' },
    )
  }
  const [first, second] = [await addNode(db, 'manageable'), await addNode(db, 'inspecting')]
  await found('52:54:00:00:00:02', false, first)
  await found('52:54:00:00:00:03', true, second)
  const addresses = async (uuid: string) => (await portsOf(db, uuid)).map(port => port.address)
  assert.deepEqual(await addresses(first), ['52:54:00:00:00:01', '52:54:00:00:00:02'])
  assert.deepEqual(await addresses(second), ['52:54:00:00:00:03'])
  await db.destroy()
})
