/**
 * `npm run simulate`: runs simulations, one on each processor, and says how many a second, and what they went through.
 * Twenty that break a rule end the run; each is told with its seed. With --seed the whole story of one is told.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type Faults, none } from './faults.ts'
import { sideBySide } from './hands.ts'
import { openWorkshop, simulate } from './simulate.ts'

const usage = `Usage: npm run simulate -- [OPTION...]

  --seeds N    simulations to run (1000)
  --from N     the first of their seeds (1)
  --jobs N     of them at a time (${availableParallelism()})
  --seed N     this one alone, with its whole story
  -h, --help   this text`

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    seed: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  console.log(usage)
  process.exit(0)
}
for (const name of ['seeds', 'from', 'jobs', 'seed'] as const) {
  const text = values[name]
  if (text === undefined || /^[0-9]{1,15}$/.test(text)) continue
  console.error(`Cannot take --${name} ${JSON.stringify(text)}: expected a whole number\n\n${usage}`)
  process.exit(2)
}

if (values.seed !== undefined) {
  const { violations, hours } = await simulate(Number(values.seed), await openWorkshop(), line => console.log(line))
  console.log(
    `${hours.toFixed(1)} simulated hours; ${violations.length === 0 ? 'nothing wrong' : violations.join('\n')}`,
  )
  process.exit(violations.length === 0 ? 0 : 1)
}

const most = 20
const tellEvery = 500
const [from, count, jobs] = [Number(values.from), Number(values.seeds), Math.max(1, Number(values.jobs))]
const startedMs = performance.now()
const sum = { hours: 0, flows: 0, failedFlows: 0 }
const struck = { ...none }
const wrong: number[] = []
let ran = 0
const perS = () => `${(ran / ((performance.now() - startedMs) / 1000)).toFixed(1)} a second`
for await (const result of sideBySide(seedsFrom(from, count), jobs)) {
  ran += 1
  for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += result[name]
  for (const kind of Object.keys(struck) as (keyof Faults)[]) struck[kind] += result.struck[kind]
  if (ran % tellEvery === 0 && ran < count) console.log(`${ran} of ${count}, ${wrong.length} wrong; ${perS()}`)
  if (result.violations.length === 0) continue
  wrong.push(result.seed)
  console.log(`seed ${result.seed}: ${result.violations.join('\n  ')}\n  npm run simulate -- --seed ${result.seed}`)
  if (wrong.length >= most) break
}
const kinds = Object.entries(struck).map(([kind, times]) => `${kind} ${times}`)
console.log(
  `${ran} seeds from ${from}: ${wrong.length} wrong; ${perS()}, ${jobs} at a time\n` +
    `${sum.hours.toFixed(0)} simulated hours, ${sum.flows} flows, ${sum.failedFlows} of them failed or aborted\n` +
    `faults: ${kinds.join(', ')}`,
)
process.exit(ran > 0 && wrong.length === 0 ? 0 : 1)

function* seedsFrom(first: number, many: number): Generator<number> {
  for (let seed = first; seed < first + many; seed++) yield seed
}
