/**
 * All metrics of the service, in the text format of Prometheus. What is counted while it happens is in work.ts, what the
 * rows tell in fleet.ts and sensors.ts, what the process is at in process.ts. It changes nothing and keeps no row.
 *
 * Source: Prometheus, "Exposition formats", text-based format 0.0.4.
 */
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import type { Clock } from '#lib/clock.ts'
import type { Family } from '#lib/instruments.ts'
import { fleetFamilies } from './fleet.ts'
import { measureProcess } from './process.ts'
import { sensorFamilies } from './sensors.ts'
import { listenToWork } from './work.ts'

export interface Metrics extends Disposable {
  readonly families: readonly Family[]
  /** The text, in parts. */
  text(): AsyncIterable<string>
}

/** Begins to count; to be opened before what is counted begins. */
export function openMetrics(world: { db: Db; config: Config; clock: Clock }): Metrics {
  const work = listenToWork()
  const process = measureProcess()
  const families = [...fleetFamilies(world), ...work.families, ...process.families, ...sensorFamilies(world.db)]
  return {
    families,
    text: () => textOf(families),
    [Symbol.dispose]() {
      work.stop()
      process.stop()
    },
  }
}

/** So much is sent at a time. */
const partCharacters = 16_384

async function* textOf(families: readonly Family[]): AsyncGenerator<string> {
  let part = ''
  for (const family of families) {
    const { name, help, type } = family
    part += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
    for await (const line of family.samples()) {
      part += `${line}\n`
      if (part.length < partCharacters) continue
      yield part
      part = ''
    }
  }
  yield part
}
