/**
 * Transcripts: each file of transcripts/ is a session against the fake API, from an empty one. A line with `$` is typed;
 * below it stand the requests it made (`>`), what it printed, what went to the error stream (`!`) and the exit status
 * when that is not 0. UPDATE_TRANSCRIPTS=1 writes the files anew; read the difference before committing it.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { type FakeApi, startFakeApi } from './fake-api.ts'
import { run } from './main.ts'
import { shellWords } from './test-client.ts'
import { testTerminal } from './test-terminal.ts'

const folder = new URL('./transcripts/', import.meta.url)
let api: FakeApi

before(async () => {
  api = await startFakeApi()
})
after(async () => await api.close())

for (const file of readdirSync(folder)) {
  test(`transcript ${file}`, async () => {
    api.clear()
    const expected = readFileSync(new URL(file, folder), 'utf8')
    const lines = expected.split('\n')
    const blocks: string[] = []
    for (const line of lines.filter(it => it.startsWith('$ '))) blocks.push(`${line}\n${await typed(line)}`)
    const title = lines.filter(line => line.startsWith('#')).join('\n')
    const found = `${title}\n\n${blocks.join('\n')}`
    if (process.env.UPDATE_TRANSCRIPTS) writeFileSync(new URL(file, folder), found)
    else assert.equal(found, expected)
  })
}

/** Runs one typed line and tells all that came of it. */
async function typed(line: string): Promise<string> {
  const [program, ...words] = shellWords(line.slice(2))
  assert.equal(program, 'ferrite')
  const terminal = testTerminal({ env: { OS_ENDPOINT: api.url } })
  api.requests.length = 0
  const status = await run(words, terminal)
  const requests = api.requests.map(request => `> ${request}\n`).join('')
  const err = terminal.takeErr().replace(/^(?=.)/gm, '! ')
  const text = requests + terminal.takeOut() + err + (status === 0 ? '' : `exit ${status}\n`)
  return text.replaceAll(api.url, 'http://api')
}
