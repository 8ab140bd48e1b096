/**
 * Answers by rules whether a caller may do a thing: those of policies.ts, with an operator's file in their place where
 * there is one. It only answers; what follows from a no (403, 404, a shorter list, a hidden field) is the asker's.
 */
import { stat } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import type { Config } from '#config/options.ts'
import { type FreshFile, openFreshFile } from '#lib/fresh-file.ts'
import type { Log } from '#lib/log.ts'
import type { Identity } from '../auth.ts'
import { policies, type Scope } from './policies.ts'
import type { Policy } from './policy.ts'
import { defaultRules, type Rules, readRules } from './policy-file.ts'

export type PolicyConfig = Pick<Config, 'DEFAULT' | 'oslo_policy'>

/**
 * @param configFiles a relative `policy_file` is looked for beside them
 * @throws InvalidInput when the file cannot be used, naming policy and rule
 */
export async function openEnforcer(
  config: PolicyConfig,
  { log, configFiles = [] }: { log: Log; configFiles?: readonly string[] },
): Promise<Policy> {
  const path = await placeOf(config.oslo_policy.policy_file, configFiles)
  const defaults = defaultRules({ formerToo: !config.oslo_policy.enforce_new_defaults })
  const file = await openFreshFile<Rules>({
    path,
    noun: 'the policy file',
    absent: defaults,
    log,
    parse(text) {
      const { rules, warnings } = readRules(text, path, defaults)
      for (const warning of warnings) log.warn({}, warning)
      return rules
    },
  })
  return enforcer(config, file)
}

/** The rules as they are without any file, or a file's. */
export function enforcer(config: PolicyConfig, file: Pick<FreshFile<Rules>, 'latest'>): Policy {
  const { rbac_service_role_elevated_access: elevated, rbac_service_project_name } = config.DEFAULT
  const serviceProject = elevated ? rbac_service_project_name : null
  const { enforce_scope } = config.oslo_policy
  return {
    enforced: true,
    allows(identity, policy, target) {
      const rules = file.latest()
      const rule = rules.get(policy)
      if (!rule) return false
      const scopes = policies[policy]?.scopes ?? []
      if (enforce_scope && scopes.length > 0 && !scopes.includes(scopeOf(identity))) return false
      return rule.check({ identity, target, serviceProject, rule: name => rules.get(name)?.check })
    },
    restricts: policy => file.latest().has(policy),
  }
}

function scopeOf({ system, domainId }: Identity): Scope {
  if (system) return 'system'
  return domainId === null ? 'project' : 'domain'
}

async function placeOf(name: string, configFiles: readonly string[]): Promise<string> {
  if (isAbsolute(name)) return name
  const places = configFiles.map(file => join(dirname(file), name))
  for (const place of places) {
    const there = await stat(place).catch(() => undefined)
    if (there) return place
  }
  return places[0] ?? name
}
