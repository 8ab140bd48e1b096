/**
 * `npm run simulate -- [--seeds N] [--from N] [--seed N]`: runs simulations one after another and says how many a second.
 * The first one that breaks a rule ends the run with its seed; with --seed the whole story of one is told.
 */
import { parseArgs } from 'node:util'
import { openWorkshop, simulate } from './simulate.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
  },
})
const workshop = await openWorkshop()

if (values.seed !== undefined) {
  const { violations, hours } = await simulate(Number(values.seed), workshop, line => console.log(line))
  console.log(
    `${hours.toFixed(1)} simulated hours; ${violations.length === 0 ? 'nothing wrong' : violations.join('\n')}`,
  )
  process.exit(violations.length === 0 ? 0 : 1)
}

const [from, count] = [Number(values.from), Number(values.seeds)]
const startedMs = performance.now()
const sum = { hours: 0, deaths: 0, flows: 0, failedFlows: 0 }
const wrong: number[] = []
for (let seed = from; seed < from + count; seed++) {
  const result = await simulate(seed, workshop)
  for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += result[name]
  if (result.violations.length === 0) continue
  wrong.push(seed)
  console.log(`seed ${seed}: ${result.violations.join('\n  ')}\n  npm run simulate -- --seed ${seed}`)
  if (wrong.length >= 20) break
}
const seconds = (performance.now() - startedMs) / 1000
console.log(
  `${count} seeds from ${from}: ${wrong.length} wrong; ${(count / seconds).toFixed(1)} seeds per second\n` +
    `${sum.hours.toFixed(0)} simulated hours, ${sum.deaths} deaths of conductors, ${sum.flows} flows, ` +
    `${sum.failedFlows} of them failed or aborted`,
)
process.exit(wrong.length === 0 ? 0 : 1)
