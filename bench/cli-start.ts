/**
 * How long `ferrite node list` takes from a cold start, run by the launcher as an operator does, against an API with a
 * few nodes in another process; beside it commands that load more. Prints the medians.
 *
 *   node bench/cli-start.ts [RUNS]     (20; on a machine that does nothing else)
 */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startFakeApi } from '#cli/fake-api.ts'

const launcher = join(import.meta.dirname, '..', 'ferrite')
const commands = ['node list', 'node show n1', 'node set n1 --extra a=1', 'help', 'help node set', 'completion bash']

if (process.send) {
  // The API, so that its work does not hold up the clock of the other process.
  const { url } = await startFakeApi()
  for (const name of ['n1', 'n2', 'n3']) {
    await fetch(`${url}/v1/nodes`, { method: 'POST', body: JSON.stringify({ driver: 'fake-hardware', name }) })
  }
  process.send(url)
} else {
  const server = fork(import.meta.filename)
  const [url]: string[] = await once(server, 'message')
  const runs = Number(process.argv[2] ?? 20)
  console.log(`load average ${loadavg()[0]?.toFixed(2)}, ${runs} runs each`)
  for (const command of commands) {
    await timed(command, url) // fills the compile cache
    const times: number[] = []
    for (let at = 0; at < runs; at++) times.push(await timed(command, url))
    const [least = 0, middle = 0] = [times.toSorted((a, b) => a - b)[0], times.toSorted((a, b) => a - b)[runs >> 1]]
    console.log(`ferrite ${command.padEnd(24)} median ${middle.toFixed(0)} ms, least ${least.toFixed(0)} ms`)
  }
  server.kill()
}

async function timed(command: string, url: string | undefined): Promise<number> {
  const began = performance.now()
  await promisify(execFile)(launcher, command.split(' '), { env: { ...process.env, OS_ENDPOINT: url } })
  return performance.now() - began
}
