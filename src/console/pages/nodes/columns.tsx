/** The columns that the table of nodes can have: what each shows, and by what it sorts. */
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { part } from '../../api.ts'
import { allowanceOf, inStateMs, type SeenRun } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'
import { latenessText } from '../../parts/lateness.ts'
import { Fault, Maintenance, Power, StateLabel } from '../../parts/state-label.tsx'
import { duration } from '../../parts/time.ts'

export interface Column {
  readonly id: string
  readonly label: string
  /** In rem. */
  readonly width: number
  readonly isUsual: boolean
  readonly cell: (node: FleetNode, nowMs: number, run: SeenRun | undefined) => ReactNode
  readonly sortBy: (node: FleetNode) => string | number
}

const text = (id: keyof FleetNode, label: string, width: number, isUsual = false): Column => ({
  id,
  label,
  width,
  isUsual,
  cell: node => {
    const value = node[id]
    return value === null || value === '' ? <span className="ferrite-subtle">–</span> : String(value)
  },
  sortBy: node => String(node[id] ?? ''),
})

export const columns: readonly Column[] = [
  {
    id: 'name',
    label: 'Name',
    width: 15,
    isUsual: true,
    cell: node => <Link to={`/nodes/${part(node.uuid)}`}>{node.name ?? node.uuid}</Link>,
    sortBy: node => node.name ?? `~${node.uuid}`,
  },
  {
    id: 'state',
    label: 'State',
    width: 11,
    isUsual: true,
    cell: node => <StateLabel state={node.provision_state} />,
    sortBy: node => node.provision_state,
  },
  {
    id: 'since',
    label: 'In state',
    width: 8,
    isUsual: true,
    cell: (node, nowMs, run) => {
      const ms = inStateMs(node, nowMs)
      if (ms === undefined) return '–'
      const allowance = allowanceOf(node, run, nowMs)
      if (!allowance || allowance.spentMs <= allowance.allowedMs) return duration(ms)
      return (
        <strong className="ferrite-overdue" title={latenessText(allowance)}>
          {duration(ms)}
        </strong>
      )
    },
    sortBy: node => -Date.parse(node.provision_updated_at ?? '1970-01-01'),
  },
  {
    id: 'expected',
    label: 'Expected',
    width: 12,
    isUsual: false,
    cell: (node, nowMs, run) => {
      const allowance = allowanceOf(node, run, nowMs)
      return allowance ? `${duration(allowance.allowedMs)}, by ${allowance.by}` : '–'
    },
    sortBy: node => -Date.parse(node.provision_updated_at ?? '1970-01-01'),
  },
  {
    id: 'power',
    label: 'Power',
    width: 8,
    isUsual: true,
    cell: node => <Power state={node.power_state} target={node.target_power_state} />,
    sortBy: node => node.power_state ?? '',
  },
  {
    id: 'care',
    label: 'Care',
    width: 12,
    isUsual: true,
    cell: node => (
      <>
        {node.maintenance && <Maintenance reason={node.maintenance_reason} />}{' '}
        {node.fault !== null && <Fault fault={node.fault} />}
        {!node.maintenance && node.fault === null && (node.health === null ? '–' : node.health)}
      </>
    ),
    sortBy: node => `${node.maintenance ? 0 : 1}${node.fault ?? ''}${node.health ?? ''}`,
  },
  text('resource_class', 'Resource class', 11, true),
  text('driver', 'Driver', 8),
  text('conductor', 'Conductor', 11, true),
  text('conductor_group', 'Group', 8),
  text('instance_name', 'Instance', 12),
  text('instance_uuid', 'Instance UUID', 21),
  text('owner', 'Owner', 11),
  text('lessee', 'Lessee', 11),
  text('uuid', 'UUID', 21),
  text('last_error', 'Last error', 26),
]

export function chosenColumns(query: URLSearchParams): readonly Column[] {
  const named = query.get('cols')?.split(',')
  if (named) return columns.filter(({ id }) => id === 'name' || named.includes(id))
  const asksWhy = query.get('view') === 'overdue'
  return columns.filter(({ id, isUsual }) => isUsual || (asksWhy && id === 'expected'))
}
