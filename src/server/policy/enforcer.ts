/**
 * Answers by rules whether a caller may do a thing: those of policies.ts, with an operator's in their place where there
 * are such. It only answers; what follows from a no (403, 404, a shorter list, a hidden field) is the asker's.
 */
import { access, readdir } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import type { Config } from '#config/options.ts'
import { type Fresh, openFresh, textOfFile, versionOfFile } from '#lib/fresh.ts'
import type { Log } from '#lib/log.ts'
import type { Identity } from '../auth.ts'
import { policies, type Scope } from './policies.ts'
import type { Policy } from './policy.ts'
import { defaultRules, type PolicyText, type Rules, readRules } from './policy-file.ts'

export type PolicyConfig = Pick<Config, 'DEFAULT' | 'oslo_policy'>

/**
 * @param configFiles relative `policy_file` and `policy_dirs` are looked for beside them
 * @throws InvalidInput when a file cannot be used, naming policy and rule
 */
export async function openEnforcer(
  config: PolicyConfig,
  { log, configFiles = [] }: { log: Log; configFiles?: readonly string[] },
): Promise<Policy> {
  const { policy_file, policy_dirs, enforce_new_defaults } = config.oslo_policy
  const defaults = defaultRules({ formerToo: !enforce_new_defaults })
  const noun = 'the policy file'
  const file = await placeOf(policy_file, configFiles)
  const folders = await Promise.all(policy_dirs.map(name => placeOf(name, configFiles)))
  const paths = async () => [file, ...(await Promise.all(folders.map(filesOf))).flat()]
  const fresh = await openFresh<Rules>({
    noun: 'a policy file',
    async version() {
      const versions = (await paths()).map(async path => `${path} ${await versionOfFile(path, noun)}`)
      return (await Promise.all(versions)).join('\n')
    },
    async load() {
      const files: PolicyText[] = []
      for (const path of await paths()) {
        // Those of folders were there just now; the first need not be.
        if (path === file && !(await exists(file))) continue
        files.push({ path, text: await textOfFile(path, noun) })
      }
      const { rules, warnings } = readRules(files, defaults)
      for (const warning of warnings) log.warn({}, warning)
      return rules
    },
    log,
  })
  return enforcer(config, fresh)
}

/** Answers by these rules. */
export function enforcer(config: PolicyConfig, source: Pick<Fresh<Rules>, 'latest'>): Policy {
  const { rbac_service_role_elevated_access: elevated, rbac_service_project_name } = config.DEFAULT
  const serviceProject = elevated ? rbac_service_project_name : null
  const { enforce_scope } = config.oslo_policy
  return {
    enforced: true,
    allows(identity, policy, target) {
      const rules = source.latest()
      const rule = rules.get(policy)
      if (!rule) return false
      const scopes = policies[policy]?.scopes ?? []
      if (enforce_scope && scopes.length > 0 && !scopes.includes(scopeOf(identity))) return false
      return rule.check({ identity, target, serviceProject, rule: name => rules.get(name)?.check })
    },
    restricts: policy => source.latest().has(policy),
  }
}

function scopeOf({ system, domainId }: Identity): Scope {
  if (system) return 'system'
  return domainId === null ? 'project' : 'domain'
}

/** Where a file or folder is that is named as it is, or looked for beside the configuration files. */
async function placeOf(name: string, configFiles: readonly string[]): Promise<string> {
  if (isAbsolute(name)) return name
  const places = configFiles.map(file => join(dirname(file), name))
  for (const place of places) if (await exists(place)) return place
  return places[0] ?? name
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** The policy files in a folder, in the order of their names. */
async function filesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  return names
    .filter(name => /\.(ya?ml|json)$/.test(name) && !name.startsWith('.'))
    .sort()
    .map(name => join(folder, name))
}
