/** Says in one sentence why a value does not fit its schema: where, what was found, what was expected. */

import { closest } from '#lib/closest.ts'

/** The part of a validator's error that is read here. */
interface SchemaError {
  keyword: string
  /** JSON pointer into the schema, behind `#`. */
  schemaPath: string
  instancePath: string
  params: object
  message: string
}

/**
 * @param attempt how the sentence begins: `Cannot create a node`
 * @param errors as the validator gives them; the deepest and first is told
 * @param schema what the value was checked against, for what would have been known
 */
export function misfit(attempt: string, errors: readonly SchemaError[], value: unknown, schema?: object): string {
  // A field that may be null fails in two ways; what speaks of null alone says nothing.
  const speaking = errors.filter(one => one.keyword !== 'boolean' && one.keyword !== 'anyOf')
  // Of several alternatives, what was meant is the one that the value comes nearest to.
  const near = speaking.filter(one => !wantsNothing(one, schema) && !speaking.some(other => goesBeyond(other, one)))
  const telling = near.length > 0 ? near : speaking
  const error = telling.find(one => (one.params as { type?: unknown }).type !== 'null') ?? telling[0] ?? errors[0]
  if (!error) return `${attempt}: the value does not fit`
  const params = error.params as Readonly<Record<string, unknown>> // an object of the keyword's own parameters
  const where = error.instancePath === '' ? '' : ` at ${error.instancePath}`
  if (error.keyword === 'additionalProperties') {
    return `${attempt}: unknown field ${words(params.additionalProperties)}${where}${known(error, params, schema)}`
  }
  if (error.keyword === 'required') return `${attempt}: missing field ${words(params.requiredProperties)}${where}`
  const types = telling.filter(one => one.instancePath === error.instancePath && one.keyword === 'type')
  const expected =
    error.keyword === 'type'
      ? types.map(one => (one.params as { type?: unknown }).type).join(' or ')
      : error.keyword === 'enum'
        ? `one of ${words(params.allowedValues)}`
        : error.message.replace(/^must /, 'what must ')
  return `${attempt}${where}: found ${shown(at(value, error.instancePath))}, expected ${expected}`
}

/** Is this one of several alternatives, and one for objects without any fields? */
function wantsNothing({ keyword, schemaPath }: SchemaError, schema: object | undefined): boolean {
  if (keyword !== 'additionalProperties' || !/\/anyOf\/\d+$/.test(schemaPath)) return false
  const properties = at(schema, `${schemaPath.replace(/^#/, '')}/properties`)
  return typeof properties === 'object' && properties !== null && Object.keys(properties).length === 0
}

/** Does one error say that the value has a type that an alternative takes, where the other wants another type? */
function goesBeyond(error: SchemaError, { keyword, instancePath }: SchemaError): boolean {
  if (keyword !== 'type') return false
  if (error.instancePath.startsWith(`${instancePath}/`)) return true
  return error.instancePath === instancePath && !['type', 'enum', 'const'].includes(error.keyword)
}

/** What could be given instead of an unknown field, the likeliest first. */
function known(error: SchemaError, params: Readonly<Record<string, unknown>>, schema: object | undefined): string {
  const object = at(schema, error.schemaPath.replace(/^#/, ''))
  if (typeof object !== 'object' || object === null || !('properties' in object)) return ''
  const names = Object.keys(object.properties ?? {})
  const meant = closest(String([params.additionalProperties].flat()[0]), names)
  const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`
  return `${hint}, expected ${names.toSorted().join(', ') || 'none'}`
}

function at(value: unknown, path: string): unknown {
  let here = value
  for (const part of path.split('/').slice(1)) {
    if (typeof here !== 'object' || here === null) return undefined
    here = (here as Readonly<Record<string, unknown>>)[part.replaceAll('~1', '/').replaceAll('~0', '~')]
  }
  return here
}

/** The kind of what was found, and the value itself only where it is short and cannot be a secret's container. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'string')
    return value.length > 60 ? `a text of ${value.length} characters` : JSON.stringify(value)
  return String(value)
}

function words(list: unknown): string {
  const all = Array.isArray(list) ? list.map(String) : [String(list)]
  return all
    .slice(0, 20)
    .map(one => (one.length > 80 ? `${one.slice(0, 77)}...` : one))
    .join(', ')
}
