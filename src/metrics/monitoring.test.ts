/** What is shipped for monitoring asks for metrics that the service has, with labels and values that it has. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { freshDatabase } from '#db/test-database.ts'
import { systemClock } from '#lib/clock.ts'
import type { Family } from '#lib/instruments.ts'
import { provision } from '#protocol/states.ts'
import { openMetrics } from './metrics.ts'

const folder = join(import.meta.dirname, '..', '..', 'packaging', 'monitoring')
const dashboardPath = join(folder, 'grafana', 'ferrite.json')
const rulesPath = join(folder, 'prometheus', 'ferrite-alerts.yaml')
const guidePath = join(import.meta.dirname, '..', '..', 'docs', 'metrics.md')

interface Panel {
  id: number
  type: string
  title: string
  targets?: { expr: string }[]
  gridPos: { x: number; y: number; w: number; h: number }
}

async function families(): Promise<readonly Family[]> {
  const db = await freshDatabase()
  const metrics = openMetrics({ db, config: await loadConfig(), clock: systemClock })
  metrics[Symbol.dispose]()
  await db.destroy()
  return metrics.families
}

async function panels(): Promise<Panel[]> {
  const { panels } = JSON.parse(await readFile(dashboardPath, 'utf8')) as { panels: Panel[] } // our own file
  return panels
}

/** Names of samples that a family serves. */
function samplesOf({ name, type }: Family): string[] {
  return type === 'histogram' ? ['_bucket', '_sum', '_count'].map(end => name + end) : [name]
}

function metricsIn(text: string): string[] {
  return text.match(/\b(ferrite|process)_[a-z_]+\b(?=[{[\s)]|$)/gm) ?? []
}

test('the dashboard asks for metrics that are served, and has a place for every one', async () => {
  const served = await families()
  const names = new Set(served.flatMap(samplesOf))
  const asked = (await panels()).flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => metricsIn(expr)))
  assert.deepEqual(
    [...new Set(asked)].filter(name => !names.has(name)),
    [],
  )
  const shown = served.filter(family => samplesOf(family).some(name => asked.includes(name)))
  const perSensor = ['fan_speed_rpm', 'fan_speed_percent', 'power_watts'].map(end => `ferrite_sensor_${end}`)
  const unshown = served.filter(family => !shown.includes(family)).map(({ name }) => name)
  assert.deepEqual(unshown, [...perSensor, 'ferrite_sensors_read_timestamp_seconds'])
})

test('panels of the dashboard lie beside each other and have names of their own', async () => {
  const all = await panels()
  assert.ok(all.length > 30)
  assert.equal(new Set(all.map(({ id }) => id)).size, all.length)
  assert.equal(new Set(all.map(({ title }) => title)).size, all.length)
  const taken = new Set<string>()
  for (const { title, gridPos } of all) {
    assert.ok(gridPos.x + gridPos.w <= 24, title)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(!taken.has(`${x} ${y}`), `${title} lies over another`)
        taken.add(`${x} ${y}`)
      }
    }
  }
})

test('alert rules ask for metrics that are served, and for states that there are', async () => {
  const rules = await readFile(rulesPath, 'utf8')
  const names = new Set((await families()).flatMap(samplesOf))
  const asked = metricsIn(rules)
  assert.ok(asked.length > 10)
  assert.deepEqual(
    [...new Set(asked)].filter(name => !names.has(name) && !name.startsWith('process_')),
    [],
  )
  const [, states = ''] = /longest_in_state_seconds\{state=~"([^"]+)"/.exec(rules) ?? []
  assert.deepEqual(
    states.split('|').filter(state => !Object.hasOwn(provision, state)),
    [],
  )
})

test('the guide tells of every metric, and of no other', async () => {
  const told = (await readFile(guidePath, 'utf8')).match(/`(ferrite|process)_[a-z_]+`/g) ?? []
  const names = (await families()).map(({ name }) => name)
  assert.deepEqual([...new Set(told.map(name => name.slice(1, -1)))].sort(), [...names].sort())
})

const promtool = process.env.PROMTOOL ?? 'promtool'
const hasPromtool = spawnSync(promtool, ['--version']).status === 0

test("Prometheus' own tool takes rules, expressions and text", {
  skip: hasPromtool ? false : 'no promtool',
}, async () => {
  const work = await mkdtemp(join(tmpdir(), 'ferrite-promtool-'))
  try {
    // The dashboard's expressions as rules, with Grafana's variables filled in.
    const expressions = (await panels()).flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    const rules = expressions.map((expr, index) => ({
      record: `test:expression_${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', '.*'),
    }))
    const asRules = join(work, 'dashboard.json')
    await writeFile(asRules, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
    for (const path of [rulesPath, asRules]) {
      const { status, stdout, stderr } = spawnSync(promtool, ['check', 'rules', path], { encoding: 'utf8' })
      assert.equal(status, 0, `${path}: ${stdout}${stderr}`)
    }
    const db = await freshDatabase()
    const metrics = openMetrics({ db, config: await loadConfig(), clock: systemClock })
    const input = (await Array.fromAsync(metrics.text())).join('')
    metrics[Symbol.dispose]()
    await db.destroy()
    const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], { input, encoding: 'utf8' })
    assert.equal(status, 0, `${stdout}${stderr}`)
  } finally {
    await rm(work, { recursive: true })
  }
})
