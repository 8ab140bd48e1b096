/**
 * The rows of every table as the engine keeps them; schema.sql says what each column means. Only files of this folder
 * see these types: everybody else gets the decoded objects of the named queries.
 */
import type { Generated } from 'kysely'
import type { allocationFields } from '#protocol/allocation.ts'
import type { chassisFields } from '#protocol/chassis.ts'
import type { deployTemplateFields } from '#protocol/deploy-template.ts'
import type { biosFields, firmwareFields } from '#protocol/firmware.ts'
import type { inspectionRuleFields } from '#protocol/inspection-rule.ts'
import type { nodeFields } from '#protocol/node.ts'
import type { portFields } from '#protocol/port.ts'
import type { portgroupFields } from '#protocol/portgroup.ts'
import type { runbookFields } from '#protocol/runbook.ts'
import type { volumeConnectorFields, volumeTargetFields } from '#protocol/volume.ts'
import type { Raw } from './codec.ts'

export interface Tables {
  nodes: Raw<typeof nodeFields> & {
    id: Generated<number>
    lease_holder: string | null
    lease_token: Generated<number>
    lease_purpose: string | null
    lease_since: string | null
    lease_until_ms: number | null
    inventory: string | null
  }
  ports: Raw<typeof portFields> & { id: Generated<number> }
  chassis: Raw<typeof chassisFields> & { id: Generated<number> }
  portgroups: Raw<typeof portgroupFields> & { id: Generated<number> }
  volume_connectors: Raw<typeof volumeConnectorFields> & { id: Generated<number> }
  volume_targets: Raw<typeof volumeTargetFields> & { id: Generated<number> }
  deploy_templates: Raw<typeof deployTemplateFields> & { id: Generated<number> }
  runbooks: Raw<typeof runbookFields> & { id: Generated<number> }
  inspection_rules: Raw<typeof inspectionRuleFields> & { id: Generated<number> }
  agents: {
    node_uuid: string
    url: string | null
    version: string | null
    verify_ca: string | null
    token: string | null
    token_pregenerated: Generated<number>
    status: string | null
    status_message: string | null
    heartbeat_at: string | null
    heartbeats: Generated<number>
    token_told_to: string | null
  }
  watches: {
    node_uuid: string
    due_ms: number
    failures: Generated<number>
  }
  flows: {
    id: Generated<number>
    node_uuid: string
    kind: string
    args: string
    requested_by: string | null
    request_id: string | null
    state: string
    phase: string
    abort_requested: Generated<number>
    wait_name: string | null
    wait_on: string | null
    wake_at_ms: number | null
    deadline_ms: number | null
    woken: Generated<number>
    progress: string | null
    error: string | null
    error_code: string | null
    started_at: string
    ended_at: string | null
    conductor: string | null
    lease_token: number | null
    requested_project: string | null
  }
  flow_steps: {
    flow_id: number
    name: string
    seq: number
    state: string
    result: string | null
    deadline_ms: number | null
    started_at: string
    ended_at: string | null
  }
  phase_times: {
    model: string
    kind: string
    phase: string
    occurrence: number
    samples: string
    updated_at: string
  }
  event_sinks: {
    name: string
    position: number
    holder: string | null
    until_ms: Generated<number>
    failures: Generated<number>
    retry_at_ms: Generated<number>
  }
  events: {
    id: Generated<number>
    at: string
    node_uuid: string | null
    flow_id: number | null
    kind: string
    data: string
  }
  admissions: {
    flow_id: number
    kind: string
    project: string
    conductor_group: string
    asked_at_ms: number
    admitted_at_ms: number | null
    position: number | null
  }
  sensors: {
    node_uuid: string
    due_ms: number
    read_at_ms: number | null
    data: string | null
    error: string | null
  }
  inspections: {
    node_uuid: string
    found_at: string
    data: string
    taken: Generated<number>
    outcome: string | null
  }
  ramdisk_logs: {
    node_uuid: string
    boot_id: string
    piece: number
    came_at: string
    size_bytes: number
    text: string
  }
  turnstiles: { name: string; passed_at_ms: number }
  conductors: {
    hostname: string
    conductor_group: string
    created_at: string
    updated_at: string
    updated_at_ms: number
    online: number
    incarnation: Generated<string>
  }
  conductor_interfaces: {
    hostname: string
    hardware_type: string
    interface_type: string
    interface_name: string
    is_default: number
  }
  allocations: Raw<typeof allocationFields> & { id: Generated<number> }
  bios_settings: Raw<typeof biosFields> & { node_uuid: string }
  firmware_components: Raw<typeof firmwareFields> & { node_uuid: string }
}
