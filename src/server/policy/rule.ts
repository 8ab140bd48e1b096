/**
 * The language in which rules are written, oslo.policy's: checks of the caller (`role:admin`, `project_id:%(node.owner)s`,
 * `rule:other`), joined by `and`, `or`, `not` and brackets; `@` is everybody, `!` nobody, and so is no rule at all
 * everybody. A rule becomes a function once, when it is read; asking it costs next to nothing.
 *
 * Source: oslo.policy, "Policy rule expressions"
 */
import type { Identity } from '../auth.ts'
import type { Target } from './policy.ts'

/** What a check looks at. */
export interface Facts {
  readonly identity: Identity
  readonly target: Target | null
  /** Project whose service role is trusted; null: none. */
  readonly serviceProject: string | null
  /** A rule by its name; one that does not exist lets nobody. */
  rule(name: string): Check | undefined
}

export type Check = (facts: Facts) => boolean

export interface Rule {
  readonly check: Check
  /** Names of other rules that it asks. */
  readonly asks: readonly string[]
}

/** The text is no rule; the message completes "found …, expected …". */
export class NoRule extends Error {}

/** @throws NoRule */
export function parseRule(text: string): Rule {
  const tokens = text.match(token) ?? []
  const asks: string[] = []
  let at = 0

  const anyOf = (): Check => {
    const checks = [allOf()]
    while (word() === 'or') {
      at += 1
      checks.push(allOf())
    }
    const [only] = checks
    return only && checks.length === 1 ? only : facts => checks.some(check => check(facts))
  }
  const allOf = (): Check => {
    const checks = [one()]
    while (word() === 'and') {
      at += 1
      checks.push(one())
    }
    const [only] = checks
    return only && checks.length === 1 ? only : facts => checks.every(check => check(facts))
  }
  const one = (): Check => {
    const found = tokens[at]
    at += 1
    if (found === undefined) throw new NoRule('found the end, expected a check such as role:admin')
    if (found === '(') {
      const inner = anyOf()
      if (tokens[at] !== ')') throw new NoRule(`found ${shown(tokens[at])}, expected a closing bracket`)
      at += 1
      return inner
    }
    if (found.toLowerCase() === 'not') {
      const inner = one()
      return facts => !inner(facts)
    }
    return checkOf(found, asks)
  }
  const word = () => tokens[at]?.toLowerCase()

  if (tokens.length === 0) return { check: everybody, asks }
  const check = anyOf()
  if (at < tokens.length) throw new NoRule(`found ${shown(tokens[at])}, expected and, or, or the end`)
  return { check, asks }
}

const everybody: Check = () => true
/** Brackets, and words in which `%(name)s` may stand. */
const token = /[()]|(?:%\([^)]*\)s|[^\s()])+/g

function shown(found: string | undefined): string {
  return found === undefined ? 'the end' : JSON.stringify(found.slice(0, 60))
}

function checkOf(text: string, asks: string[]): Check {
  if (text === '@') return everybody
  if (text === '!') return () => false
  const colon = text.indexOf(':')
  if (colon <= 0) throw new NoRule(`found ${shown(text)}, expected a check such as role:admin, or @ or !`)
  const kind = text.slice(0, colon)
  const match = text.slice(colon + 1)
  if (kind === 'rule') {
    asks.push(match)
    return facts => facts.rule(match)?.(facts) ?? false
  }
  if (kind === 'http' || kind === 'https')
    throw new NoRule(`found ${shown(text)}: rules that ask a server are not offered`)
  const value = filledIn(match)
  if (kind === 'role') {
    return facts => {
      const role = value(facts)
      return role !== undefined && facts.identity.roles.includes(role.toLowerCase())
    }
  }
  const literal = literalOf(kind)
  const left: (facts: Facts) => string | undefined =
    literal === undefined ? facts => credential(kind, facts) : () => literal
  return facts => {
    const found = left(facts)
    // What nobody has equals nothing, also when the other side is missing too.
    return found !== undefined && found === value(facts)
  }
}

/** The right side of a check: a text in which `%(name)s` stands for a value of the target or the caller. */
function filledIn(match: string): (facts: Facts) => string | undefined {
  const parts = match.split(/%\(([^)]*)\)s/)
  if (parts.length === 1) return () => match
  return facts => {
    let out = ''
    for (const [index, part] of parts.entries()) {
      const piece = index % 2 === 0 ? part : (targetValue(part, facts) ?? credential(part, facts))
      if (piece === undefined) return undefined
      out += piece
    }
    return out
  }
}

function targetValue(name: string, { target }: Facts): string | undefined {
  if (!target) return undefined
  const of = target.of ?? 'node'
  if (name === `${of}.owner`) return target.owner ?? undefined
  if (name === `${of}.lessee`) return target.lessee ?? undefined
  return undefined
}

/** What rules may ask of a caller, by the names of OpenStack. */
function credential(name: string, { identity, serviceProject }: Facts): string | undefined {
  switch (name) {
    case 'user_id':
    case 'user':
      return identity.userId ?? undefined
    case 'user_name':
      return identity.userName ?? undefined
    case 'user_domain_id':
      return identity.userDomainId ?? undefined
    case 'project_id':
    case 'tenant':
      return identity.projectId ?? undefined
    case 'project_name':
      return identity.projectName ?? undefined
    case 'project_domain_id':
      return identity.projectDomainId ?? undefined
    case 'domain_id':
      return identity.domainId ?? undefined
    case 'system_scope':
    case 'system':
      return identity.system ? 'all' : undefined
    case 'is_admin_project':
      return identity.isAdminProject ? 'True' : 'False'
    case 'is_public_api':
      // What is public is never asked about.
      return 'False'
    case 'config.service_project_name':
      return serviceProject ?? undefined
    default:
      return undefined
  }
}

/** `'text'`, `True`, `12` on the left side stand for themselves. */
function literalOf(kind: string): string | undefined {
  const quoted = /^(['"])(.*)\1$/.exec(kind)?.[2]
  if (quoted !== undefined) return quoted
  return /^(True|False|None|\d+)$/.test(kind) ? kind : undefined
}
