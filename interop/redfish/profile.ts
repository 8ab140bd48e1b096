/**
 * Judges a Redfish service by an interoperability profile: which resources and properties it must have, should have, and
 * has. What can only be found out by writing is counted, not tried. It sends GETs and nothing else.
 *
 * Source: DMTF DSP0272, Redfish Interoperability Profiles (requirements, comparisons, replacements).
 */

type Json = Record<string, unknown>

/** As DSP0272 has them, as far as they are judged here. */
export interface PropertyRequirement {
  ReadRequirement?: string
  WriteRequirement?: string
  MinCount?: number
  Comparison?: string
  Values?: unknown[]
  MinSupportValues?: unknown[]
  ReplacesProperty?: string
  PropertyRequirements?: Record<string, PropertyRequirement>
}

interface ActionRequirement {
  ReadRequirement?: string
}

interface ResourceRequirement {
  ReadRequirement?: string
  MinVersion?: string
  PropertyRequirements?: Record<string, PropertyRequirement>
  ActionRequirements?: Record<string, ActionRequirement>
}

export interface Profile {
  ProfileName: string
  ProfileVersion: string
  Resources: Record<string, ResourceRequirement>
}

export interface Finding {
  /** `ComputerSystem.Boot.BootSourceOverrideTarget`. */
  requirement: string
  level: string
  /** Of the resource that it was looked for in; null: there is none of that type. */
  path: string | null
  isMet: boolean
  /** What is there instead. */
  found: string
}

/** Fetches a resource; undefined where there is none. */
export type Fetch = (path: string) => Promise<Json | undefined>

const limit = 400

/** All resources that links of the service root lead to, by path. */
export async function crawl(fetch: Fetch): Promise<Map<string, Json>> {
  const found = new Map<string, Json>()
  const waiting = ['/redfish/v1/']
  const seen = new Set(waiting)
  while (waiting.length > 0 && found.size < limit) {
    const path = waiting.shift() ?? ''
    const resource = await fetch(path)
    if (!resource) continue
    found.set(path, resource)
    for (const link of linksOf(resource)) {
      const plain = link.replace(/#.*$/, '').replace(/(.)\/$/, '$1')
      if (!plain.startsWith('/redfish/v1/') || seen.has(plain)) continue
      seen.add(plain)
      waiting.push(plain)
    }
  }
  return found
}

export function judge(profile: Profile, resources: ReadonlyMap<string, Json>): Finding[] {
  const settings = settingsPaths(resources)
  return Object.entries(profile.Resources).flatMap(([type, requirement]) => {
    const own = [...resources].filter(([path, resource]) => typeOf(resource) === type && !settings.has(path))
    const level = requirement.ReadRequirement ?? 'Mandatory'
    if (own.length === 0) return [{ requirement: type, level, path: null, isMet: false, found: 'no such resource' }]
    return own.flatMap(([path, resource]) => judgeResource({ type, path, resource, resources }, requirement))
  })
}

/** What waits for the next start has the type of what it is for, and is no resource of its own kind. */
function settingsPaths(resources: ReadonlyMap<string, Json>): Set<string> {
  const links = [...resources.values()].map(resource => {
    const settings = resource['@Redfish.Settings'] as { SettingsObject?: Json } | undefined // as DSP0266 has it
    return String(settings?.SettingsObject?.['@odata.id'])
  })
  return new Set(links)
}

interface Subject {
  type: string
  path: string
  resource: Json
  resources: ReadonlyMap<string, Json>
}

function judgeResource(subject: Subject, requirement: ResourceRequirement): Finding[] {
  const { type, path, resource } = subject
  const findings: Finding[] = []
  const version = versionOf(resource)
  const { MinVersion: least } = requirement
  if (least !== undefined && version !== undefined) {
    findings.push({
      requirement: `${type} from ${least}`,
      level: requirement.ReadRequirement ?? 'Mandatory',
      path,
      isMet: compare(version, least) >= 0,
      found: version,
    })
  }
  findings.push(
    ...judgeProperties(subject, { at: type, value: resource, requirements: requirement.PropertyRequirements }),
  )
  const actions = (resource.Actions ?? {}) as Json // an object where it is there
  for (const [name, action] of Object.entries(requirement.ActionRequirements ?? {})) {
    const isMet = `#${type}.${name}` in actions
    const found = Object.keys(actions).join(', ') || 'no actions'
    findings.push({
      requirement: `${type}.${name}()`,
      level: action.ReadRequirement ?? 'Mandatory',
      path,
      isMet,
      found,
    })
  }
  return findings
}

interface Part {
  at: string
  value: Json
  requirements: Record<string, PropertyRequirement> | undefined
}

function judgeProperties(subject: Subject, { at, value, requirements = {} }: Part): Finding[] {
  const replaced = new Set<string>()
  for (const { ReplacesProperty: older } of Object.values(requirements)) {
    if (older !== undefined && older in value) replaced.add(older)
  }
  return Object.entries(requirements).flatMap(([name, requirement]) => {
    const level = requirement.ReadRequirement ?? 'Mandatory'
    const here = `${at}.${name}`
    const finding = (isMet: boolean, found: string): Finding => ({
      requirement: here,
      level,
      path: subject.path,
      isMet,
      found,
    })
    const given = value[name]
    if (given === undefined) {
      const { ReplacesProperty: older } = requirement
      return [
        older !== undefined && replaced.has(older)
          ? finding(true, `${older} in its place`)
          : finding(false, 'no such property'),
      ]
    }
    const count = Array.isArray(given) ? given.length : undefined
    if (requirement.MinCount !== undefined && (count ?? 0) < requirement.MinCount) {
      return [finding(false, `${count ?? 'no'} of at least ${requirement.MinCount}`)]
    }
    const problem = comparison(subject, { name, value, given, requirement })
    const own = finding(problem === undefined, problem ?? 'there')
    const parts = (Array.isArray(given) ? given : [given]).filter(one => typeof one === 'object' && one !== null)
    return [
      own,
      ...parts.flatMap(part =>
        judgeProperties(subject, { at: here, value: part as Json, requirements: requirement.PropertyRequirements }),
      ),
    ]
  })
}

/** What is wrong with a value that is there; undefined: nothing. */
function comparison(
  { resources }: Subject,
  of: { name: string; value: Json; given: unknown; requirement: PropertyRequirement },
): string | undefined {
  const { Comparison: how, Values: values = [], MinSupportValues: supported } = of.requirement
  if (supported) {
    const offered = of.value[`${of.name}@Redfish.AllowableValues`]
    const lacking = Array.isArray(offered) ? supported.filter(one => !offered.includes(one)) : []
    if (lacking.length > 0) return `without ${lacking.join(', ')}`
  }
  if (how === 'LinkToResource') {
    const links = (Array.isArray(of.given) ? of.given : [of.given]).map(one => (one as Json | null)?.['@odata.id'])
    const wrong = links.find(
      link => typeof link !== 'string' || !values.includes(typeOf(resources.get(link.replace(/(.)\/$/, '$1')) ?? {})),
    )
    return links.length === 0 || wrong !== undefined
      ? `leads to ${String(wrong)}, expected ${values.join(' or ')}`
      : undefined
  }
  if (how === 'AnyOf' && values.length > 0 && !values.includes(of.given)) {
    return `${JSON.stringify(of.given)}, expected one of ${values.join(', ')}`
  }
  return undefined
}

/** `ComputerSystem` of `#ComputerSystem.v1_22_0.ComputerSystem`. */
export function typeOf(resource: Json): string {
  return /^#?([A-Za-z]+)\./.exec(String(resource['@odata.type'] ?? ''))?.[1] ?? ''
}

function versionOf(resource: Json): string | undefined {
  const [, ...parts] = /\.v(\d+)_(\d+)_(\d+)\./.exec(String(resource['@odata.type'] ?? '')) ?? []
  return parts.length > 0 ? parts.join('.') : undefined
}

function compare(a: string, b: string): number {
  const [left, right] = [a, b].map(text => text.split('.').map(Number)) as [number[], number[]] // two texts in, two out
  for (let at = 0; at < 3; at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function linksOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(linksOf)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, one]) => (name === '@odata.id' ? [String(one)] : linksOf(one)))
}
