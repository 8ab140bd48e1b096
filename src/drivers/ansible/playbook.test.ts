import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '#conductor/test-engine.ts'
import { run } from '#lib/run.ts'
import { type PlaybookEvent, type PlaybookJob, runPlaybook } from './playbook.ts'

const program = fileURLToPath(new URL('fake-ansible-playbook', import.meta.url))
const job = (FAKE_PLAYBOOK: string, more: Partial<PlaybookJob> = {}): PlaybookJob => {
  const owner = `test-${process.pid}-${FAKE_PLAYBOOK}`
  return { program, args: [], owner, playbook: '/p/deploy.yaml', ...more, env: { FAKE_PLAYBOOK, ...more.env } }
}

async function ran(wanted: PlaybookJob): Promise<{ events: PlaybookEvent[]; lines: string[] }> {
  const [events, lines]: [PlaybookEvent[], string[]] = [[], []]
  const listener = { onEvent: (event: PlaybookEvent) => events.push(event), onLine: (line: string) => lines.push(line) }
  await runPlaybook(wanted, new AbortController().signal, listener)
  return { events, lines }
}

test('a playbook tells its tasks in order, and its output apart from them', async () => {
  const { events, lines } = await ran(job('done'))
  assert.deepEqual(
    events.map(({ event }) => event),
    ['task', 'ok', 'stats'],
  )
  assert.deepEqual(lines, ['a line of output'])
})

for (const [how, expected] of [
  ['fail', /^Playbook deploy\.yaml failed in task "Write the image": no space left$/],
  [
    'unreachable',
    /cannot reach the ramdisk of n \(task "Log in"\): Permission denied.*--with ansible.*ansible_key_file/,
  ],
  ['syntax', /ended with status 4 before it came to a task: ERROR! Syntax Error/],
  ['nobody', /did nothing: none of its plays has a machine/],
] as const) {
  test(`a playbook that ends with "${how}" says so`, async () => {
    await assert.rejects(ran(job(how)), { name: 'PlaybookFailed', message: expected })
  })
}

test('a program that is not there is told by its name', async () => {
  const expected = { name: 'PlaybookFailed', message: /Cannot run playbook deploy\.yaml: .*no-such-program/ }
  await assert.rejects(ran(job('gone', { program: '/no-such-program' })), expected)
})

/** One that has ended and that nobody asks about any more is not alive. */
const isAlive = (pid: number) => {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function pidsIn(file: string): Promise<number[]> {
  await eventually('the playbook runs', async () => (await readFile(file, 'utf8')).trim().split(' ').length === 2)
  return (await readFile(file, 'utf8')).trim().split(' ').map(Number)
}

test('nothing of a playbook outlives its abort, nor the service that is killed, nor a run that comes later', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-playbook-'))
  try {
    const hanging = (FAKE_PIDS: string) => job('hang', { env: { FAKE_PIDS } })
    const stop = new AbortController()
    const aborted = runPlaybook(hanging(join(folder, 'a')), stop.signal, { onEvent: () => {}, onLine: () => {} })
    const first = await pidsIn(join(folder, 'a'))
    stop.abort(new Error('the service ends'))
    await assert.rejects(aborted, /the service ends/)
    assert.deepEqual(first.filter(isAlive), [])

    // A service of its own that is killed in the middle.
    const code = `import { runPlaybook } from ${JSON.stringify(new URL('playbook.ts', import.meta.url).href)}
      await runPlaybook(${JSON.stringify(hanging(join(folder, 'b')))}, new AbortController().signal, { onEvent() {}, onLine() {} })`
    const service = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' })
    const second = await pidsIn(join(folder, 'b'))
    service.kill('SIGKILL')
    await once(service, 'exit')
    await eventually('its playbook is gone', async () => !second.some(isAlive))

    // One whose looker-after is killed as well leaves the playbook to the next run for the same owner.
    const again = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit', detached: true })
    await rm(join(folder, 'b'))
    const third = await pidsIn(join(folder, 'b'))
    const { stdout } = await run('pgrep', ['-P', String(again.pid)])
    for (const pid of [...stdout.trim().split('\n').map(Number), again.pid ?? 0]) process.kill(pid, 'SIGKILL')
    assert.deepEqual(third.filter(isAlive), third)
    await ran(job('done', { owner: hanging('').owner }))
    await eventually('what was left is gone', async () => !third.some(isAlive))
  } finally {
    await rm(folder, { recursive: true })
  }
})
