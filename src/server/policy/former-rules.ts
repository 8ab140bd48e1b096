/**
 * What was enough before tokens had scopes: administrators of any project did everything, observers read. With
 * `[oslo_policy] enforce_new_defaults = false` these rules hold beside the present ones, for policies that are as old.
 *
 * Source: Ironic ironic/common/policy.py, the deprecated rules
 */
import { policies } from './policies.ts'

/** Rules that only these ask. */
export const formerNamedRules: Readonly<Record<string, string>> = {
  admin_api: 'role:admin or role:administrator',
  is_member: '(project_domain_id:default or project_domain_id:None) and (project_name:demo or project_name:baremetal)',
  is_observer: 'rule:is_member and (role:observer or role:baremetal_observer)',
  is_admin: 'rule:admin_api or (rule:is_member and role:baremetal_admin)',
}

/** Younger than scopes. */
const younger =
  /^show_|:self_owned_node$|:(clean|service)_steps$|:update:(shard|parent_node|disable_power_off)$|:shards:|:firmware:|:vmedia:|:runbook:|:inspection_rule:|:ipa_/

/** What observers might do: everything that reads, but for these. */
const reading =
  /:(get|list|list_all|get:\w+|get_(boot_device|indicator_state|states|properties|raid_logical_disk_properties))$/
const administratorsOnly = ['baremetal:node:vif:list']

/** The rule that a policy had; undefined for younger ones. */
export function formerRule(policy: string): string | undefined {
  if (!Object.hasOwn(policies, policy) || younger.test(policy)) return undefined
  if (policy === 'baremetal:allocation:create') return 'rule:is_admin and is_admin_project:True'
  return reading.test(policy) && !administratorsOnly.includes(policy)
    ? 'rule:is_admin or rule:is_observer'
    : 'rule:is_admin'
}
