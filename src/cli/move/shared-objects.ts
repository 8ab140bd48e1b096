/**
 * What stands beside the nodes of a move: chassis, deploy templates, runbooks, inspection rules, and allocations that
 * have no node. They are made by ordinary requests, under the UUIDs that they have, and left alone where they are.
 */
import { chassisFields } from '#protocol/chassis.ts'
import { deployTemplateFields } from '#protocol/deploy-template.ts'
import type { Field } from '#protocol/field.ts'
import { inspectionRuleFields } from '#protocol/inspection-rule.ts'
import { minorOf } from '#protocol/microversion.ts'
import { runbookFields } from '#protocol/runbook.ts'
import { type Api, segment } from '../client.ts'
import type { Item } from '../command.ts'
import { type Fleet, readFleet } from './fleet.ts'
import { type Moved, moving } from './moved.ts'

interface Shared {
  readonly name: string
  readonly path: string
  readonly fields: Readonly<Record<string, Field>>
  /** The version of the API that it came with. */
  readonly from: string
  /** Why one cannot be moved; what `create` cannot carry is set afterwards. */
  refusal?(item: Item): string | undefined
  after?(item: Item, target: Api): Promise<void>
}

type Kind = 'chassis' | 'deploy_templates' | 'runbooks' | 'inspection_rules'

const kinds: Readonly<Record<Kind, Shared>> = {
  chassis: { name: 'chassis', path: '/v1/chassis', fields: chassisFields, from: '1.1' },
  deploy_templates: {
    name: 'deploy template',
    path: '/v1/deploy_templates',
    fields: deployTemplateFields,
    from: '1.55',
  },
  runbooks: {
    name: 'runbook',
    path: '/v1/runbooks',
    fields: runbookFields,
    from: '1.92',
    async after({ uuid, traits }, target) {
      if (!Array.isArray(traits) || traits.length === 0) return
      await target.put(`/v1/runbooks/${segment(String(uuid))}/traits`, { traits })
    },
  },
  inspection_rules: {
    name: 'inspection rule',
    path: '/v1/inspection_rules',
    fields: inspectionRuleFields,
    from: '1.96',
    refusal: ({ sensitive }) =>
      sensitive === true
        ? 'it is sensitive: its conditions and actions are not shown; make it anew by hand'
        : undefined,
  },
}

export interface MoveShared {
  readonly fleet: Fleet
  readonly target: Api
  /** The newest version of the target. */
  readonly newest: string
  readonly plan: boolean
}

export async function moveShared({ fleet, target, newest, plan }: MoveShared): Promise<Moved[]> {
  const there = await readFleet(target, newest, [...(Object.keys(kinds) as Kind[]), 'allocations']) // literal keys
  const rows: Moved[] = []
  for (const kind of Object.keys(kinds) as Kind[]) {
    // literal keys
    const known = new Set(there[kind].map(({ uuid }) => uuid))
    const { name, path, fields, from, refusal, after } = kinds[kind]
    for (const item of fleet[kind]) {
      const row = await moving(name, item, async () => {
        if (known.has(item.uuid)) return { outcome: 'there already', notes: '' }
        const refused =
          minorOf(from) > minorOf(newest) ? `the other service, of version ${newest}, has none` : refusal?.(item)
        if (refused !== undefined) return { outcome: 'not moved', notes: refused }
        if (plan) return { outcome: 'would be moved', notes: '' }
        await target.create(path, creatable(fields, item, newest))
        await after?.(item, target)
        return { outcome: 'moved', notes: '' }
      })
      rows.push(row)
    }
  }
  return rows
}

/**
 * Allocations that have no node: those that found none are told and left, those that search would begin to search in two
 * services at once.
 */
export function looseAllocations({ allocations }: Fleet): Moved[] {
  return allocations
    .filter(({ node_uuid }) => !node_uuid)
    .map(item => ({
      ...{ kind: 'allocation', name: String(item.name ?? ''), uuid: String(item.uuid), state: String(item.state) },
      outcome: 'not moved' as const,
      notes: 'it has no node; ask for it anew where the nodes are',
    }))
}

/** The fields that a request may create an object with, as far as the version knows them. */
export function creatable(fields: Readonly<Record<string, Field>>, item: Item, newest: string): Item {
  const entries = Object.entries(fields).flatMap(([name, { create, from }]) =>
    create && minorOf(from) <= minorOf(newest) && item[name] !== undefined && item[name] !== null
      ? [[name, item[name]]]
      : [],
  )
  return Object.fromEntries(entries)
}
