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
  t.diagnostic(`all were read in ${Math.round(performance.now() - began)} ms`)
  const measured = await page.evaluate(scrollThrough)
  t.diagnostic(JSON.stringify(measured))
  assert.equal(measured.blankFrames, 0)
  assert.ok(measured.frames > 100, `${measured.frames} frames`)
  assert.ok(measured.rowsInDocument < 200, `${measured.rowsInDocument} rows`)
  await picture(page, 'ten-thousand-nodes')

  await page.getByRole('textbox', { name: 'Search in the table' }).fill('rack249 large')
  await page.getByText(/^1[34] of 10,000 nodes$/).waitFor({ timeout: 30_000 })
  await page.context().close()
})

/** Runs in the page: scrolls by leaps and bounds, and looks in each frame whether rows cover what is in sight. */
async function scrollThrough(): Promise<{ frames: number; blankFrames: number; rowsInDocument: number }> {
  const frame = document.querySelector('.ferrite-frame') as HTMLElement // the page that this is run in has it
  const frames = { frames: 0, blankFrames: 0, rowsInDocument: 0 }
  const look = () => {
    const box = frame.getBoundingClientRect()
    const rows = [...frame.querySelectorAll('tbody tr[aria-rowindex]')].map(row => row.getBoundingClientRect())
    const top = Math.min(...rows.map(row => row.top))
    const bottom = Math.max(...rows.map(row => row.bottom))
    const isBlank = rows.length === 0 || top > box.top + 41 || bottom < box.bottom - 18
    frames.frames += 1
    if (isBlank) frames.blankFrames += 1
    frames.rowsInDocument = Math.max(frames.rowsInDocument, rows.length)
  }
  const next = () => new Promise(requestAnimationFrame)
  const scroll = async (by: number) => {
    frame.scrollTop += by
    await next()
    // After the frame's scroll event and before it is painted.
    await new Promise(resolve => queueMicrotask(() => resolve(undefined)))
    look()
  }
  for (let step = 0; step < 120; step += 1) await scroll(130)
  for (let step = 0; step < 40; step += 1) await scroll(900)
  for (let step = 0; step < 20; step += 1) await scroll(step % 2 === 0 ? 60_000 : -45_000)
  frame.scrollTop = frame.scrollHeight
  for (let step = 0; step < 40; step += 1) await scroll(-700)
  return frames
}
