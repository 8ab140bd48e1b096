/** Reads a request's body: JSON whatever the headers call it, nothing as `{}`, and not deeper than allowed. */
import { InvalidInput } from '#lib/fault.ts'
import { BodyLimit } from './faults.ts'

/**
 * @param maxDepth levels of objects and lists inside one another
 * @throws InvalidInput for what is no JSON, BodyLimit for what is too deep
 */
export function parseBody(text: string, maxDepth: number): unknown {
  if (text.trim() === '') return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's own message repeats a piece of the body, which may hold a secret.
    throw new InvalidInput('Cannot read the body: it is not JSON')
  }
  if (deeperThan(value, maxDepth)) {
    throw new BodyLimit(400, `Cannot read the body: it is nested deeper than ${maxDepth} levels`)
  }
  return value
}

/** Level by level, so that no input can exhaust the stack. */
function deeperThan(value: unknown, limit: number): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    const containers = level.filter(one => typeof one === 'object' && one !== null) as object[] // just tested
    if (containers.length > 0 && depth >= limit) return true
    level = []
    for (const one of containers) for (const inner of Object.values(one)) level.push(inner)
  }
  return false
}
