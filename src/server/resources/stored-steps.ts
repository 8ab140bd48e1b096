/** Steps that deploy templates and runbooks keep: checked and put in their stored form. Knows neither resource. */
import { InvalidInput } from '#lib/fault.ts'

interface StoredStep {
  readonly interface: string
  readonly step: string
}

/**
 * Each step with its number as a number.
 * @param number name of the key that orders steps: `priority`, `order`
 * @throws InvalidInput when a step of an interface comes twice
 */
export function readSteps(steps: unknown, number: string): unknown[] {
  const list = steps as (StoredStep & Readonly<Record<string, unknown>>)[] // by the schema of their field
  const seen = new Set<string>()
  for (const one of list) {
    const name = `${one.interface}.${one.step}`
    if (seen.has(name)) throw new InvalidInput(`Cannot set steps: found ${name.slice(0, 300)} twice, expected it once`)
    seen.add(name)
  }
  return list.map(one => ({ ...one, [number]: Number(one[number]) }))
}
