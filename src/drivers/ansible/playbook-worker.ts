/**
 * A process that looks after one ansible-playbook and ends with it. Started by playbook.ts and spoken to over IPC; when
 * the service goes away, so does ansible-playbook with everything that it has started, and none of them runs beside the
 * one that the next service starts. It knows nothing of the playbook.
 *
 * What belongs to a run is told by a variable in its environment, which children inherit: Ansible's own processes make
 * groups and sessions of their own, so that a signal to one group would miss some of them.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { PlaybookEvent, PlaybookJob, PlaybookWorkerMessage } from './playbook.ts'

const ownerVariable = 'FERRITE_PLAYBOOK_OWNER'
const eventsFd = 3
const keptOfOutput = 4000
const drainMs = 2000

let owner: string | undefined

process.once('disconnect', () => void end())
process.once('SIGTERM', () => void end())
process.once('message', (job: PlaybookJob) => void main(job))

async function main(job: PlaybookJob): Promise<void> {
  owner = job.owner
  // Of a service whose end its worker did not survive either.
  await killAllOf(owner)
  if (!process.connected) return end()
  const child = spawn(job.program, job.args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...job.env, [ownerVariable]: owner, FERRITE_EVENTS_FD: String(eventsFd) },
  })
  let tail = ''
  const keep = (line: string) => {
    tail = `${tail}${line}\n`.slice(-keptOfOutput)
  }
  const streams = [child.stdout, child.stderr, child.stdio[eventsFd]] as [Readable, Readable, Readable] // piped above
  createInterface(streams[0]).on('line', line => void tell({ kind: 'said', line }))
  createInterface(streams[1]).on('line', line => {
    keep(line)
    void tell({ kind: 'said', line })
  })
  createInterface(streams[2]).on('line', line => {
    const event = eventOf(line)
    if (event) void tell({ kind: 'event', event })
  })
  child.on('error', error => {
    void tell({ kind: 'not started', message: error.message }).then(end)
  })
  child.on('exit', async (code, signal) => {
    // Its last words may be on their way; something that it left behind may hold the pipes open for ever.
    await Promise.race([once(child, 'close'), delay(drainMs)])
    await tell({ kind: 'ended', code, signal, tail })
    await end()
  })
}

async function end(): Promise<void> {
  if (owner !== undefined) await killAllOf(owner)
  process.exit(0)
}

/** Resolves when the message is on its way, or there is nobody to tell. */
function tell(message: PlaybookWorkerMessage): Promise<void> {
  return new Promise(sent => {
    if (process.connected) process.send?.(message, () => sent())
    else sent()
  })
}

/** A line of our plug-in; anything else that is written there is not ours. */
function eventOf(line: string): PlaybookEvent | undefined {
  try {
    const event: unknown = JSON.parse(line)
    return typeof event === 'object' && event !== null && 'event' in event ? (event as PlaybookEvent) : undefined // of our plug-in
  } catch {
    return undefined
  }
}

/** Kills until nothing is left: a process may be forking while it is looked at. */
async function killAllOf(wanted: string): Promise<void> {
  for (let round = 0; round < 50; round++) {
    const found = await processesOf(wanted)
    if (found.length === 0) return
    for (const pid of found) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {} // gone by itself
    }
    await delay(20)
  }
}

async function processesOf(wanted: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
  const marked = await Promise.all(
    pids.map(async pid => {
      const variables = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
      return variables.split('\0').includes(`${ownerVariable}=${wanted}`)
    }),
  )
  return pids.filter((_, index) => marked[index]).map(Number)
}
