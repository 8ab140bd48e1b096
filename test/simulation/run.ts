/**
 * `npm run simulate`: runs simulations one after another and says how many a second, and what they went through. Twenty
 * that break a rule end the run; each is told with its seed. With --seed the whole story of one is told.
 */
import { parseArgs } from 'node:util'
import { type Faults, none } from './faults.ts'
import { openWorkshop, simulate } from './simulate.ts'

const usage = `Usage: npm run simulate -- [OPTION...]

  --seeds N    simulations to run (1000)
  --from N     the first of their seeds (1)
  --seed N     this one alone, with its whole story
  -h, --help   this text`

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  console.log(usage)
  process.exit(0)
}
for (const name of ['seeds', 'from', 'seed'] as const) {
  const text = values[name]
  if (text === undefined || /^[0-9]{1,15}$/.test(text)) continue
  console.error(`Cannot take --${name} ${JSON.stringify(text)}: expected a whole number\n\n${usage}`)
  process.exit(2)
}
const workshop = await openWorkshop()

if (values.seed !== undefined) {
  const { violations, hours } = await simulate(Number(values.seed), workshop, line => console.log(line))
  console.log(
    `${hours.toFixed(1)} simulated hours; ${violations.length === 0 ? 'nothing wrong' : violations.join('\n')}`,
  )
  process.exit(violations.length === 0 ? 0 : 1)
}

const most = 20
const [from, count] = [Number(values.from), Number(values.seeds)]
const startedMs = performance.now()
const sum = { hours: 0, flows: 0, failedFlows: 0 }
const struck = { ...none }
const wrong: number[] = []
let ran = 0
for (let seed = from; seed < from + count && wrong.length < most; seed++) {
  const result = await simulate(seed, workshop)
  ran += 1
  for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += result[name]
  for (const kind of Object.keys(struck) as (keyof Faults)[]) struck[kind] += result.struck[kind]
  if (result.violations.length === 0) continue
  wrong.push(seed)
  console.log(`seed ${seed}: ${result.violations.join('\n  ')}\n  npm run simulate -- --seed ${seed}`)
}
const seconds = (performance.now() - startedMs) / 1000
const { user, system } = process.cpuUsage()
const kinds = Object.entries(struck).map(([kind, times]) => `${kind} ${times}`)
console.log(
  `${ran} seeds from ${from}: ${wrong.length} wrong; ${(ran / seconds).toFixed(1)} seeds per second, ` +
    `${((ran * 1e6) / (user + system)).toFixed(1)} per second of CPU\n` +
    `${sum.hours.toFixed(0)} simulated hours, ${sum.flows} flows, ${sum.failedFlows} of them failed or aborted\n` +
    `faults: ${kinds.join(', ')}`,
)
process.exit(wrong.length === 0 ? 0 : 1)
