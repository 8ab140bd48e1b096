/**
 * BIOS settings of a machine and what its BMC's attribute registry says of them; values that an operator asks for are
 * checked against that and brought into the type that the firmware has. Pure but for the two reads.
 *
 * Source: DMTF DSP2046, Bios, AttributeRegistry; ironic/drivers/modules/redfish/bios.py (conversions, restated).
 */
import { Type } from 'typebox'
import { InvalidInput } from '#lib/fault.ts'
import { isTrue } from '#lib/truth.ts'
import type { BiosSetting } from '#protocol/firmware.ts'
import { type NodeContext, Unsupported } from '../driver.ts'
import { objectIn, textIn } from '../inspection/hook.ts'
import { Asker } from './asker.ts'
import { type RedfishClient, Reference, reader } from './client.ts'
import { anyResource, linkOf, listOf } from './inspect-resource.ts'
import { Action, Maybe, Text } from './maybe.ts'
import { readSystem } from './system.ts'

export type BiosValue = string | number | boolean | null

const biosReader = reader(
  'BIOS',
  Type.Object({
    Attributes: Type.Record(Type.String(), Type.Unknown()),
    AttributeRegistry: Text,
    '@Redfish.Settings': Maybe(
      Type.Object({ SettingsObject: Maybe(Reference), SupportedApplyTimes: Maybe(Type.Array(Type.String())) }),
    ),
    Actions: Maybe(Type.Object({ '#Bios.ResetBios': Action })),
  }),
)

export interface Bios {
  client: RedfishClient
  path: string
  etag: string | null
  values: Readonly<Record<string, BiosValue>>
  /** Name of the registry that describes them. */
  registry: string | null
  /** Where changes are written; the resource itself where there is no other. */
  settingsPath: string
  /** May a change be told to wait for the next start? */
  appliesOnReset: boolean
  resetTarget: string
}

/** As the BMC tells it now. @throws Unsupported when it tells nothing of its BIOS */
export async function readBios(ctx: NodeContext): Promise<Bios> {
  const { client, system, path: systemPath } = await readSystem(ctx)
  const path = system.Bios?.['@odata.id']
  if (path === undefined) {
    throw new Unsupported(`Cannot read the BIOS settings of ${systemPath} at ${client.origin}: its BMC offers none`)
  }
  const { resource, etag } = await client.get(path, biosReader, { signal: ctx.signal, fresh: true })
  const settings = resource['@Redfish.Settings']
  return {
    client,
    path,
    etag,
    values: valuesOf(resource.Attributes),
    registry: resource.AttributeRegistry ?? null,
    settingsPath: settings?.SettingsObject?.['@odata.id'] ?? path,
    appliesOnReset: settings?.SupportedApplyTimes?.includes('OnReset') ?? false,
    resetTarget: resource.Actions?.['#Bios.ResetBios']?.target ?? `${path.replace(/\/$/, '')}/Actions/Bios.ResetBios`,
  }
}

/** What waits for the next start, by name; empty where nothing does, or the BMC does not tell. */
export async function readPending(ctx: NodeContext, bios: Bios): Promise<Readonly<Record<string, BiosValue>>> {
  if (bios.settingsPath === bios.path) return {}
  const pending = await new Asker(bios.client, ctx.signal).get(bios.settingsPath, anyResource)
  return valuesOf(objectIn(pending?.Attributes))
}

/** All settings with their facts, as they are kept of a node. A BMC without a registry tells values alone. */
export async function biosSettings(ctx: NodeContext, bios: Bios): Promise<BiosSetting[]> {
  const facts = await readRegistry(ctx, bios)
  return Object.entries(bios.values).map(([name, value]) => ({
    ...(facts.get(name) ?? { ...unknown, name }),
    value: value === null ? null : String(value),
  }))
}

const unknown: BiosSetting = {
  name: '',
  value: null,
  attribute_type: null,
  allowable_values: null,
  lower_bound: null,
  upper_bound: null,
  min_length: null,
  max_length: null,
  read_only: null,
  reset_required: null,
  unique: null,
}

async function readRegistry(ctx: NodeContext, { client, registry }: Bios): Promise<Map<string, BiosSetting>> {
  const asker = new Asker(client, ctx.signal)
  if (registry === null) return new Map()
  const { Registries } = await client.root(ctx.signal)
  for (const path of await asker.members(Registries)) {
    // Firmware names the file with or without its version.
    const last = path.replace(/\/$/, '').split('/').pop() ?? ''
    if (!registry.startsWith(last) && !last.startsWith(registry)) continue
    const file = await asker.get(path, anyResource)
    for (const location of listOf(file?.Location).map(objectIn)) {
      const uri = textIn(location.Uri) ?? linkOf(location.Uri)?.['@odata.id']
      const found = uri === undefined ? undefined : await asker.get(uri, anyResource)
      const attributes = listOf(objectIn(found?.RegistryEntries).Attributes).map(objectIn)
      if (attributes.length > 0) return new Map(attributes.map(one => [String(one.AttributeName), factsOf(one)]))
    }
  }
  return new Map()
}

function factsOf(attribute: Readonly<Record<string, unknown>>): BiosSetting {
  const whole = (value: unknown) => (typeof value === 'number' && Number.isInteger(value) ? value : null)
  const flag = (value: unknown) => (typeof value === 'boolean' ? value : null)
  const choices = listOf(attribute.Value).map(one => textIn(objectIn(one).ValueName))
  const named = choices.filter(choice => choice !== undefined)
  return {
    name: String(attribute.AttributeName),
    value: null,
    attribute_type: textIn(attribute.Type) ?? null,
    allowable_values: named.length > 0 ? named : null,
    lower_bound: whole(attribute.LowerBound),
    upper_bound: whole(attribute.UpperBound),
    min_length: whole(attribute.MinLength),
    max_length: whole(attribute.MaxLength),
    read_only: flag(attribute.ReadOnly),
    reset_required: flag(attribute.ResetRequired),
    unique: flag(attribute.IsSystemUniqueProperty),
  }
}

/**
 * The values that an operator asks for, in the firmware's types. What no registry describes passes as it is.
 * @param asked `[{name, value}]`
 * @throws InvalidInput naming every setting that is wrong
 */
export function wantedValues(asked: unknown, known: readonly BiosSetting[]): Record<string, BiosValue> {
  if (!Array.isArray(asked) || asked.length === 0) {
    throw new InvalidInput('Cannot change BIOS settings: settings is no list, expected [{"name": …, "value": …}, …]')
  }
  const facts = new Map(known.map(setting => [setting.name, setting]))
  const wanted: Record<string, BiosValue> = {}
  const problems: string[] = []
  for (const [index, one] of asked.entries()) {
    const { name, value } = objectIn(one)
    if (typeof name !== 'string' || name === '' || !isValue(value)) {
      problems.push(`settings[${index}] is ${JSON.stringify(one)?.slice(0, 80)}, expected a name and a value`)
      continue
    }
    const result = converted(value, facts.get(name))
    if (typeof result === 'object' && result !== null) problems.push(`${name}: ${result.problem}`)
    else wanted[name] = result
  }
  if (problems.length === 0) return wanted
  throw new InvalidInput(`Cannot change BIOS settings: ${problems.join('; ')}`)
}

function converted(value: BiosValue, facts: BiosSetting | undefined): BiosValue | { problem: string } {
  if (!facts) return value
  const shown = JSON.stringify(value)
  const { attribute_type: type, allowable_values: choices, lower_bound: least, upper_bound: most } = facts
  const { min_length: shortest, max_length: longest } = facts
  if (facts.read_only) return { problem: 'the firmware lets nobody change it' }
  if (type === 'Enumeration' && choices && !choices.includes(String(value))) {
    return { problem: `found ${shown}, expected one of ${choices.join(', ')}` }
  }
  if (type === 'Boolean') {
    const flag = isTrue(value)
    return flag ?? { problem: `found ${shown}, expected true or false` }
  }
  if (type === 'Integer') {
    const number = Number(value)
    const fits = value !== '' && Number.isInteger(number) && number >= (least ?? number) && number <= (most ?? number)
    return fits
      ? number
      : { problem: `found ${shown}, expected a whole number from ${least ?? 'any'} to ${most ?? 'any'}` }
  }
  if (type === 'String' || type === 'Password') {
    const { length } = String(value)
    const fits = length >= (shortest ?? 0) && length <= (longest ?? length)
    // The value may be a password.
    return fits
      ? String(value)
      : { problem: `found ${length} characters, expected ${shortest ?? 0} to ${longest ?? 'any'}` }
  }
  return type === 'Enumeration' ? String(value) : value
}

/** Those of `wanted` that are not as wanted in `values`, as text for a message. */
export function differing(
  wanted: Readonly<Record<string, BiosValue>>,
  values: Readonly<Record<string, BiosValue>>,
): string[] {
  return Object.keys(wanted).filter(name => String(values[name]) !== String(wanted[name]))
}

const isValue = (value: unknown): value is BiosValue =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value)

function valuesOf(attributes: Readonly<Record<string, unknown>>): Record<string, BiosValue> {
  const values: Record<string, BiosValue> = {}
  for (const [name, value] of Object.entries(attributes)) if (isValue(value)) values[name] = value
  return values
}
