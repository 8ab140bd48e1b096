/**
 * `npm run chaos`: deploys simulated machines while conductors are killed and BMCs and agents fail. Ends with status 0
 * only if every deployment came out as if nothing had been; says how to repeat it.
 */
import { parseArgs } from 'node:util'
import { chaos } from './chaos.ts'

const usage = `Usage: npm run chaos -- [OPTION...]

  --nodes N          machines to deploy (1000)
  --seed N           what chance decides: who is killed when, what fails where (the time of day)
  --sqlite           one conductor on SQLite, killed every 5 s; else three on PostgreSQL, one killed every 2 s
  --conductors N     on PostgreSQL (3)
  --kill-every S     seconds
  --takeover N       instead: one is killed once and for good, with N deployments in its hands; the others must have
                     all of them within 10 s
  --concurrency N    deployments under way at a time (100)
  --failures RATE    of requests to BMCs and agents, and of heartbeats (0.05)
  --boot-failures RATE of network boots that end nowhere (0.01)
  --limit S          how long it may take; what is not active then counts as lost (3600)
  -h, --help         this text`

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    sqlite: { type: 'boolean', default: false },
    conductors: { type: 'string', default: '3' },
    'kill-every': { type: 'string' },
    takeover: { type: 'string' },
    concurrency: { type: 'string', default: '100' },
    failures: { type: 'string', default: '0.05' },
    'boot-failures': { type: 'string', default: '0.01' },
    limit: { type: 'string', default: '3600' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) console.log(usage)
else process.exitCode = await main()

async function main(): Promise<number> {
  const { sqlite, seed } = values
  const words = process.argv.slice(2).filter((word, at, all) => word !== '--seed' && all[at - 1] !== '--seed')
  const replay = ['npm run chaos --', ...words, '--seed', seed].join(' ')
  console.log(`seed ${seed}; again: ${replay}`)
  // The verdict is told whoever ends it, and when.
  const cut = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => cut.abort(new Error(name)))
  const limit = setTimeout(() => cut.abort(new Error('the time limit')), Number(values.limit) * 1000)
  const report = await chaos({
    seed: Number(seed),
    nodes: Number(values.nodes),
    engine: sqlite ? 'sqlite' : 'postgresql',
    conductors: sqlite ? 1 : Number(values.conductors),
    kill: values.takeover
      ? { holding: Number(values.takeover) }
      : { everyMs: Number(values['kill-every'] ?? (sqlite ? 5 : 2)) * 1000 },
    concurrency: Number(values.concurrency),
    failures: Number(values.failures),
    bootFailures: Number(values['boot-failures']),
    say: line => console.log(line),
    signal: cut.signal,
  })
  clearTimeout(limit)
  const { deploy, kills, takeover, failedStarts, machines, bootsAgain, bugs, lost, seconds } = report
  console.log(
    [
      '',
      `${deploy.count} of ${values.nodes} nodes active in ${deploy.seconds} s (${deploy.per_hour} per hour), ` +
        `p50 ${Math.round((deploy.p50_ms ?? 0) / 100) / 10} s, p99 ${Math.round((deploy.p99_ms ?? 0) / 100) / 10} s`,
      `${kills} conductors killed, ${deploy.retries} requests made again, ${bootsAgain} boots begun again`,
      ...(takeover
        ? [
            `the others had all ${takeover.flows} deployments of the dead one after ${(takeover.tookMs / 1000).toFixed(1)} s`,
          ]
        : []),
      ...failedStarts.map(said => `a conductor did not come back at once: ${said.slice(0, 500)}`),
      `on the machines: ${Object.entries(machines)
        .map(([name, count]) => `${count} ${name.replaceAll('_', ' ')}`)
        .join(', ')}`,
      `${bugs.length} lines of the logs tell of a bug${bugs.length > 0 ? `, the first: ${bugs[0]?.slice(0, 500)}` : ''}`,
      `${Math.round(seconds)} s in all`,
      ...(lost.length === 0 ? ['Nothing was lost, and nothing done twice.'] : ['LOST:', ...lost.slice(0, 30)]),
      ...(lost.length === 0 ? [] : [`again: ${replay}`]),
    ].join('\n'),
  )
  return lost.length === 0 ? 0 : 1
}
