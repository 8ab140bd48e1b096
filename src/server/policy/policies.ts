/**
 * Every policy and who passes it by default: Ironic's names, Ironic's rules. Rules are put together of a few persons, so
 * that a row reads as it is meant. Which endpoint asks for a policy stands in the endpoint's declaration; where a policy
 * is asked for beside that, its row says so. Operators put other rules in force with a file (policy-file.ts).
 *
 * Source: REST API reference, "Roles and rules"; Ironic ironic/common/policy.py
 */

/** Rules that others are made of; operators may change these too. */
export const namedRules: Readonly<Record<string, string>> = {
  public_api: 'is_public_api:True',
  is_node_owner: 'project_id:%(node.owner)s',
  is_node_lessee: 'project_id:%(node.lessee)s',
  is_allocation_owner: 'project_id:%(allocation.owner)s',
  /** A service of one project, trusted where `rbac_service_role_elevated_access` says so. */
  service_role: 'role:service and project_name:%(config.service_project_name)s',
}

const persons = {
  'system admin': 'role:admin and system_scope:all',
  'system member': 'role:member and system_scope:all',
  'system reader': 'role:reader and system_scope:all',
  'system service': 'role:service and system_scope:all',
  'trusted service': 'rule:service_role',
  'owner admin': 'role:admin and project_id:%(node.owner)s',
  'owner manager': 'role:manager and project_id:%(node.owner)s',
  'owner member': 'role:member and project_id:%(node.owner)s',
  'owner reader': 'role:reader and project_id:%(node.owner)s',
  'owner service': 'role:service and project_id:%(node.owner)s',
  'lessee admin': 'role:admin and project_id:%(node.lessee)s',
  'lessee manager': 'role:manager and project_id:%(node.lessee)s',
  'lessee member': 'role:member and project_id:%(node.lessee)s',
  'lessee reader': 'role:reader and project_id:%(node.lessee)s',
  'allocation owner member': 'role:member and project_id:%(allocation.owner)s',
  'allocation owner reader': 'role:reader and project_id:%(allocation.owner)s',
  'runbook owner manager': 'role:manager and project_id:%(runbook.owner)s',
  'runbook owner reader': 'role:reader and project_id:%(runbook.owner)s',
  'any admin': 'role:admin',
  'any manager': 'role:manager',
  'any member': 'role:member',
  'any reader': 'role:reader',
  'any service': 'role:service',
}
type Person = keyof typeof persons

function anyOf(...who: readonly Person[]): string {
  return who.map(person => `(${persons[person]})`).join(' or ')
}

const systemAdmin = anyOf('system admin')
const systemMember = anyOf('system member', 'trusted service')
const systemReader = anyOf('system reader', 'system service', 'trusted service')
const anyReader = anyOf('any reader', 'any service')
/** Those who may see a node. */
const seers = `${systemReader} or ${anyOf('owner reader', 'lessee reader', 'owner service')}`
/** Those who may see what a node reveals of the infrastructure. */
const ownersReaders = `${systemReader} or ${anyOf('owner reader', 'owner service')}`
const ownersMembers = `${systemMember} or ${anyOf('system service', 'owner member', 'owner service')}`
const ownersAdmins = `${systemMember} or ${anyOf('system service', 'owner admin', 'owner manager', 'owner service')}`
const wiringAdmins = anyOf('system admin', 'system service', 'owner admin', 'owner manager', 'owner service')
/** Those who may use a node, be it theirs or lent to them. */
const users = `${systemMember} or ${anyOf('system service', 'owner member', 'lessee member')}`
/** Those who decide over the course of a node. */
const deployers = `${ownersMembers} or ${anyOf('lessee admin', 'lessee manager')}`
const volumeAdmins = `${ownersAdmins} or ${anyOf('lessee admin', 'lessee manager')}`
const allocationReaders = `${systemReader} or ${anyOf('allocation owner reader')}`
const allocationMembers = `${systemMember} or ${anyOf('allocation owner member')}`
const runbookReaders = `${systemReader} or ${anyOf('runbook owner reader', 'any service')}`
const runbookAdmins = `${systemMember} or ${anyOf('runbook owner manager', 'any service')}`

export interface PolicyDefault {
  readonly rule: string
  /** Scopes of tokens that it takes; with others nobody passes while `enforce_scope` holds. None: any. */
  readonly scopes: readonly Scope[]
  /** Where it is asked for, beside the endpoints that name it. */
  readonly use?: string
}
export type Scope = 'system' | 'project' | 'domain'

const both = (rule: string, use?: string): PolicyDefault => ({
  rule,
  scopes: ['system', 'project'],
  ...(use === undefined ? {} : { use }),
})
const systemOnly = (rule: string, use?: string): PolicyDefault => ({ ...both(rule, use), scopes: ['system'] })
const open = (): PolicyDefault => ({ rule: '', scopes: [] })

const patchOf = (path: string) => `PATCH of a node's ${path}`

export const policies: Readonly<Record<string, PolicyDefault>> = {
  show_password: { rule: '!', scopes: [], use: 'secrets in driver_info and driver_internal_info are shown' },
  show_instance_secrets: { rule: '!', scopes: [], use: 'secrets in instance_info are shown' },

  'baremetal:node:create': both(anyOf('system admin', 'system service')),
  'baremetal:node:create:self_owned_node': both(anyOf('any admin', 'any service')),
  'baremetal:node:list': both(anyReader, 'nodes of the own project'),
  'baremetal:node:list_all': both(systemReader),
  'baremetal:node:get': both(seers, 'whatever is below or about a node is hidden (404) from who does not pass'),
  'baremetal:node:get:filter_threshold': both(systemReader, 'the next four are not asked of who passes'),
  'baremetal:node:get:last_error': both(ownersReaders, 'the field is shown'),
  'baremetal:node:get:reservation': both(ownersReaders, 'the field is shown'),
  'baremetal:node:get:driver_internal_info': both(ownersReaders, 'the field is shown'),
  'baremetal:node:get:driver_info': both(ownersReaders, 'the field is shown'),
  'baremetal:node:update:driver_info': both(ownersMembers, patchOf('driver_info')),
  'baremetal:node:update:properties': both(ownersMembers, patchOf('properties')),
  'baremetal:node:update:chassis_uuid': both(systemAdmin, patchOf('chassis_uuid')),
  'baremetal:node:update:instance_uuid': both(ownersMembers, patchOf('instance_uuid')),
  'baremetal:node:update:lessee': both(ownersMembers, patchOf('lessee')),
  'baremetal:node:update:owner': both(systemMember, patchOf('owner')),
  'baremetal:node:update:driver_interfaces': both(ownersAdmins, patchOf('driver and interfaces')),
  'baremetal:node:update:network_data': both(ownersMembers, patchOf('network_data')),
  'baremetal:node:update:conductor_group': both(systemMember, patchOf('conductor_group')),
  'baremetal:node:update:name': both(ownersMembers, patchOf('name')),
  'baremetal:node:update:retired': both(ownersMembers, patchOf('retired and retired_reason')),
  'baremetal:node:update:shard': both(systemAdmin, patchOf('shard')),
  'baremetal:node:update:parent_node': both(systemMember, patchOf('parent_node')),
  'baremetal:node:update:disable_power_off': both(systemAdmin, patchOf('disable_power_off')),
  'baremetal:node:update': both(users, patchOf('other fields')),
  'baremetal:node:update_extra': both(users, patchOf('extra')),
  'baremetal:node:update_instance_info': both(deployers, patchOf('instance_info and instance_name')),
  'baremetal:node:update_owner_provisioned': systemOnly(systemAdmin, 'PATCH of the owner of an active node (409)'),
  'baremetal:node:disable_cleaning': both(systemAdmin, patchOf('automated_clean, to false')),
  'baremetal:node:delete': both(systemAdmin),
  'baremetal:node:delete:self_owned_node': both(anyOf('owner admin')),
  'baremetal:node:validate': both(deployers),
  'baremetal:node:set_maintenance': both(deployers),
  'baremetal:node:clear_maintenance': both(deployers),
  'baremetal:node:get_boot_device': both(ownersAdmins),
  'baremetal:node:set_boot_device': both(ownersAdmins),
  'baremetal:node:get_indicator_state': both(seers),
  'baremetal:node:set_indicator_state': both(ownersMembers),
  'baremetal:node:inject_nmi': both(ownersAdmins),
  'baremetal:node:unlock': both(ownersAdmins),
  'baremetal:node:take_over': both(systemAdmin),
  'baremetal:node:get_states': both(seers),
  'baremetal:node:set_power_state': both(users),
  'baremetal:node:set_boot_mode': both(users),
  'baremetal:node:set_secure_boot': both(users),
  'baremetal:node:set_provision_state': both(deployers),
  'baremetal:node:set_provision_state:clean_steps': both(deployers, 'a verb with clean_steps'),
  'baremetal:node:set_provision_state:service_steps': both(deployers, 'a verb with service_steps'),
  'baremetal:node:set_raid_state': both(ownersMembers),
  'baremetal:node:get_console': both(ownersMembers),
  'baremetal:node:set_console_state': both(ownersMembers),
  'baremetal:node:vif:list': both(seers),
  'baremetal:node:vif:attach': both(deployers),
  'baremetal:node:vif:detach': both(deployers),
  'baremetal:node:traits:list': both(seers),
  'baremetal:node:traits:set': both(ownersAdmins),
  'baremetal:node:traits:delete': both(ownersAdmins),
  'baremetal:node:bios:get': both(seers),
  'baremetal:node:firmware:get': both(seers),
  'baremetal:node:history:get': both(ownersReaders),
  'baremetal:node:inventory:get': both(ownersReaders),
  'baremetal:node:vmedia:attach': both(users),
  'baremetal:node:vmedia:detach': both(users),
  'baremetal:node:vmedia:get': both(seers),
  'baremetal:node:vendor_passthru': both(systemAdmin),
  'baremetal:node:ipa_heartbeat': open(),
  'baremetal:shards:get': both(systemReader),
  'baremetal:settings:get': both(systemReader),
  'baremetal:leases:get': both(systemReader),
  'baremetal:images:get': both(systemReader),

  'baremetal:port:get': both(seers),
  'baremetal:port:list': both(anyReader, 'ports of nodes of the own project'),
  'baremetal:port:list_all': both(systemReader),
  'baremetal:port:create': both(wiringAdmins),
  'baremetal:port:delete': both(wiringAdmins),
  'baremetal:port:update': both(ownersAdmins),
  'baremetal:portgroup:get': both(seers),
  'baremetal:portgroup:create': both(wiringAdmins),
  'baremetal:portgroup:delete': both(wiringAdmins),
  'baremetal:portgroup:update': both(ownersAdmins),
  'baremetal:portgroup:list': both(anyReader, 'portgroups of nodes of the own project'),
  'baremetal:portgroup:list_all': both(systemReader),

  'baremetal:chassis:get': systemOnly(systemReader),
  'baremetal:chassis:create': systemOnly(systemAdmin),
  'baremetal:chassis:delete': systemOnly(systemAdmin),
  'baremetal:chassis:update': systemOnly(systemMember),

  'baremetal:driver:get': systemOnly(systemReader),
  'baremetal:driver:get_properties': systemOnly(systemReader),
  'baremetal:driver:get_raid_logical_disk_properties': systemOnly(systemReader),
  'baremetal:driver:vendor_passthru': systemOnly(systemAdmin),
  'baremetal:driver:ipa_lookup': open(),
  'baremetal:driver:ipa_continue_inspection': open(),
  'baremetal:conductor:get': both(systemReader),
  'baremetal:events:post': systemOnly(systemAdmin),

  'baremetal:volume:list_all': both(systemReader),
  'baremetal:volume:list': both(anyReader, 'volumes of nodes of the own project'),
  'baremetal:volume:get': both(seers),
  'baremetal:volume:create': both(volumeAdmins),
  'baremetal:volume:delete': both(volumeAdmins),
  'baremetal:volume:update': both(deployers),
  'baremetal:volume:view_target_properties': both(
    `${systemReader} or ${anyOf('any admin')}`,
    'properties of volume targets are shown',
  ),

  'baremetal:allocation:get': both(allocationReaders, 'other allocations are hidden (404) from who does not pass'),
  'baremetal:allocation:list': both(anyReader, 'allocations of the own project'),
  'baremetal:allocation:list_all': both(systemReader),
  'baremetal:allocation:create': both(`${systemMember} or ${anyOf('any member')}`),
  'baremetal:allocation:create_restricted': both(systemMember, 'an allocation with another owner than the own project'),
  'baremetal:allocation:delete': both(allocationMembers),
  'baremetal:allocation:update': both(allocationMembers),

  'baremetal:deploy_template:get': both(systemReader),
  'baremetal:deploy_template:create': both(systemAdmin),
  'baremetal:deploy_template:delete': both(systemAdmin),
  'baremetal:deploy_template:update': both(systemAdmin),

  'baremetal:runbook:get': both(runbookReaders, 'public ones are shown to everybody'),
  'baremetal:runbook:list': both(anyReader, 'runbooks of the own project, and public ones'),
  'baremetal:runbook:list_all': both(systemReader),
  'baremetal:runbook:create': both(`${systemMember} or ${anyOf('any manager', 'any service')}`),
  'baremetal:runbook:delete': both(runbookAdmins),
  'baremetal:runbook:update': both(runbookAdmins),
  'baremetal:runbook:update:public': both(systemMember, "PATCH of a runbook's public"),
  'baremetal:runbook:update:owner': both(systemMember, "PATCH of a runbook's owner"),
  'baremetal:runbook:use': both(runbookAdmins, 'a verb with a runbook'),

  'baremetal:inspection_rule:get': both(systemReader),
  'baremetal:inspection_rule:list_all': both(systemReader),
  'baremetal:inspection_rule:create': both(systemAdmin),
  'baremetal:inspection_rule:update': both(systemAdmin),
  'baremetal:inspection_rule:delete': both(systemAdmin),
}

/** Rules with this beginning exist only where an operator writes them: they restrict who may run a step. */
export const stepPolicy = 'baremetal:step:execute:'
