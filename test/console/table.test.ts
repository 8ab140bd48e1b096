/** The table of nodes with ten thousand of them: read, scrolled without a blank frame, narrowed. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { picture, startTrial, type Trial } from './site.ts'

const manyNodes = 10_000

let trial: Trial
before(
  async () => {
    trial = await startTrial({ nodes: 0 })
  },
  { timeout: 300_000 },
)
after(() => trial?.[Symbol.asyncDispose]())

test('ten thousand nodes scroll without a blank frame', { timeout: 900_000 }, async t => {
  const makers = Array.from({ length: 16 }, async (_, lane) => {
    for (let index = lane; index < manyNodes; index += 16) {
      const name = `rack${Math.floor(index / 40)}-node${index % 40}`
      const body = { driver: 'redfish', name, resource_class: index % 3 === 0 ? 'large' : 'small' }
      const answer = await trial.call('POST', '/v1/nodes', body)
      assert.equal(answer.status, 201, await answer.text())
    }
  })
  await Promise.all(makers)
  const page = await trial.open('/nodes')
  const began = performance.now()
  await page.getByText('10,000 nodes').waitFor({ timeout: 120_000 })
  await page.locator('.ferrite-frame').waitFor({ timeout: 60_000 })
  t.diagnostic(`all were read in ${Math.round(performance.now() - began)} ms`)
  const measured = await page.evaluate<{ frames: number; rowsInDocument: number; blanks: string[] }>(
    'ferriteTest.scrollThrough()',
  )
  t.diagnostic(JSON.stringify(measured))
  assert.deepEqual(measured.blanks, [])
  assert.ok(measured.frames > 100, `${measured.frames} frames`)
  assert.ok(measured.rowsInDocument < 200, `${measured.rowsInDocument} rows`)
  await picture(page, 'ten-thousand-nodes')

  await page.getByRole('textbox', { name: 'Search in the table' }).fill('rack249 large')
  await page.getByText(/^1[34] of 10,000 nodes$/).waitFor({ timeout: 30_000 })
  await page.context().close()
})
