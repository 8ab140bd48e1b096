/**
 * A token as Keystone describes it, and whom it makes of the caller. Only what decides anything is read.
 * Source: Identity API v3, "Validate and show information for token"
 */
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Identity } from '../auth.ts'

const Domain = Type.Object({ id: Type.String(), name: Type.Optional(Type.String()) })
const AccessRule = Type.Object({ method: Type.String(), path: Type.String(), service: Type.String() })
const TokenDocument = Type.Object({
  token: Type.Object({
    expires_at: Type.String(),
    user: Type.Object({ id: Type.String(), name: Type.String(), domain: Type.Optional(Domain) }),
    project: Type.Optional(Type.Object({ id: Type.String(), name: Type.String(), domain: Type.Optional(Domain) })),
    domain: Type.Optional(Domain),
    system: Type.Optional(Type.Object({ all: Type.Optional(Type.Boolean()) })),
    roles: Type.Optional(Type.Array(Type.Object({ name: Type.String() }))),
    is_admin_project: Type.Optional(Type.Boolean()),
    application_credential: Type.Optional(
      Type.Object({ access_rules: Type.Optional(Type.Union([Type.Array(AccessRule), Type.Null()])) }),
    ),
  }),
})
const document = Compile(TokenDocument)

export interface Token {
  readonly identity: Identity
  readonly expiresAtMs: number
  /** The only requests that the token is for; undefined: all. */
  readonly accessRules: readonly Static<typeof AccessRule>[] | undefined
}

/** Undefined where the document is none of a token. */
export function readToken(body: unknown): Token | undefined {
  if (!document.Check(body)) return undefined
  const { user, project, domain, system, roles = [], expires_at, is_admin_project, application_credential } = body.token
  const expiresAtMs = Date.parse(expires_at)
  if (Number.isNaN(expiresAtMs)) return undefined
  return {
    identity: {
      userId: user.id,
      userName: user.name,
      userDomainId: user.domain?.id ?? null,
      system: system?.all === true,
      projectId: project?.id ?? null,
      projectName: project?.name ?? null,
      projectDomainId: project?.domain?.id ?? null,
      domainId: domain?.id ?? null,
      // Keystone says so only where an admin project is set up; else every project may be one.
      isAdminProject: is_admin_project ?? true,
      roles: roles.map(role => role.name.toLowerCase()),
    },
    expiresAtMs,
    accessRules: application_credential?.access_rules ?? undefined,
  }
}

/** Whether a rule names a request. In its path `*` and `{name}` stand for one part, `**` for any text. */
export function ruleMatches(
  rule: Static<typeof AccessRule>,
  request: { service: string; method: string; path: string },
): boolean {
  if (rule.service !== request.service || rule.method !== request.method) return false
  return pathFits(rule.path.match(/\*\*|\*|\{[^}]*\}|./gsu) ?? [], request.path)
}

/** Goes through all ways to fit at once: rules are written by callers, so no rule may take long. */
function pathFits(pattern: readonly string[], path: string): boolean {
  // fits[i]: the pattern so far fits the first i characters.
  let fits = new Array<boolean>(path.length + 1).fill(false)
  fits[0] = true
  for (const piece of pattern) {
    const next = new Array<boolean>(path.length + 1).fill(false)
    const any = piece === '**'
    const part = piece === '*' || piece.length > 2
    if (any) next[0] = fits[0] === true
    for (let i = 0; i < path.length; i += 1) {
      if (any) next[i + 1] = next[i] === true || fits[i + 1] === true
      else if (part) next[i + 1] = path[i] !== '/' && (fits[i] === true || next[i] === true)
      else next[i + 1] = fits[i] === true && path[i] === piece
    }
    fits = next
  }
  return fits[path.length] === true
}
