/** Every node in a table: search, filters that the address keeps and that can have names, columns, actions on many. */
import {
  Button,
  Dropdown,
  DropdownItem,
  DropdownList,
  EmptyState,
  EmptyStateBody,
  MenuToggle,
  PageSection,
  SearchInput,
  Title,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
} from '@patternfly/react-core'
import { useDeferredValue, useMemo, useState } from 'react'
import { useNavigate, useSearchParams } from 'react-router'
import type { RunsByNode } from '../expected.ts'
import { type FleetNode, useFleet } from '../fleet.ts'
import { ActionDialog } from '../parts/action-dialog.tsx'
import { FaultAlert } from '../parts/fault-alert.tsx'
import { Loading } from '../parts/loading.tsx'
import { useNow } from '../parts/time.ts'
import { useRuns } from '../runs.ts'
import { type Action, maintenanceActions, powerActions, provisionActions } from '../verbs.ts'
import { deployVerb } from './deploy/wish.ts'
import { ColumnMenu } from './nodes/column-menu.tsx'
import { columns as allColumns, type Column, chosenColumns } from './nodes/columns.tsx'
import { FilterBar } from './nodes/filter-bar.tsx'
import { type Filters, holds, readFilters } from './nodes/filters.ts'
import { NodeTable, type Sorting } from './nodes/node-table.tsx'
import { SavedFilters } from './nodes/saved-filters.tsx'

export default function Nodes() {
  const { data: fleet, error, refetch } = useFleet()
  const [query, setQuery] = useSearchParams()
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const [action, setAction] = useState<Action>()
  // Times in the table are of minutes; a row is drawn anew no more often than they change.
  const nowMs = useNow(10_000)
  const change = (name: string, value: string | undefined) =>
    setQuery(
      now => {
        const next = new URLSearchParams(now)
        if (value === undefined || value === '') next.delete(name)
        else next.set(name, value)
        return next
      },
      { replace: true },
    )
  const address = query.toString()
  const filters = useMemo(() => readFilters(new URLSearchParams(address)), [address])
  const columns = useMemo(() => chosenColumns(new URLSearchParams(address)), [address])
  const sorting = sortingOf(query)
  // Only these filters look at the time; without them nothing is sorted anew as it passes.
  const dependsOnTime = filters.age !== undefined || filters.view === 'overdue'
  const runs = useRuns()
  const shown = useShown(
    useDeferredValue(fleet?.nodes),
    useDeferredValue(filters),
    sorting,
    dependsOnTime ? nowMs : undefined,
    filters.view === 'overdue' ? runs : noRuns,
  )
  const chosen = shown.filter(node => selected.has(node.uuid))
  const onSelect = (uuids: readonly string[], isSelected: boolean) =>
    setSelected(now => {
      const next = new Set(now)
      for (const uuid of uuids) isSelected ? next.add(uuid) : next.delete(uuid)
      return next
    })
  const onSort = (by: string) => change('sort', sorting.by === by && !sorting.descending ? `-${by}` : by)
  return (
    <PageSection isFilled>
      <div className="ferrite-between ferrite-heading">
        <Title headingLevel="h1">Nodes</Title>
        <span className="ferrite-subtle" role="status">
          {fleet && counted(shown.length, fleet.nodes.length, fleet.isComplete)}
        </span>
      </div>
      {error && <FaultAlert error={error} what="list the nodes" onRetry={() => void refetch()} />}
      <Toolbar inset={{ default: 'insetNone' }}>
        <ToolbarContent>
          <ToolbarItem className="ferrite-table-search">
            <SearchInput
              aria-label="Search in the table"
              placeholder="Name, UUID, instance, error …"
              data-search
              value={filters.q}
              onChange={(_, value) => change('q', value)}
              onClear={() => change('q', undefined)}
            />
          </ToolbarItem>
          <FilterBar filters={filters} nodes={fleet?.nodes ?? []} onChange={change} />
          <ToolbarGroup align={{ default: 'alignEnd' }} gap={{ default: 'gapSm' }}>
            <ToolbarItem>
              <SavedFilters query={address} onChoose={text => setQuery(new URLSearchParams(text))} />
            </ToolbarItem>
            <ToolbarItem>
              <ColumnMenu chosen={columns} onChange={ids => change('cols', ids?.join(','))} />
            </ToolbarItem>
            <ToolbarItem>
              <BulkMenu nodes={chosen} onChoose={setAction} />
            </ToolbarItem>
          </ToolbarGroup>
        </ToolbarContent>
      </Toolbar>
      {!fleet && !error && <Loading what="nodes" />}
      {fleet && shown.length === 0 && fleet.isComplete && (
        <EmptyState titleText={fleet.nodes.length === 0 ? 'No nodes yet' : 'No node fits'} headingLevel="h2">
          <EmptyStateBody>
            {fleet.nodes.length === 0 ? (
              'Enrol the first one, and it is shown here.'
            ) : (
              <Button variant="link" isInline onClick={() => setQuery(new URLSearchParams())}>
                Take all filters away
              </Button>
            )}
          </EmptyStateBody>
        </EmptyState>
      )}
      {shown.length > 0 && (
        <NodeTable {...{ nodes: shown, columns, runs, nowMs, sorting, onSort, selected, onSelect }} />
      )}
      {action && <ActionDialog action={action} nodes={chosen} onClose={() => setAction(undefined)} />}
    </PageSection>
  )
}

function counted(shown: number, all: number, isComplete: boolean): string {
  if (!isComplete) return `Reading … ${all.toLocaleString()} so far`
  return shown === all ? `${all.toLocaleString()} nodes` : `${shown.toLocaleString()} of ${all.toLocaleString()} nodes`
}

function sortingOf(query: URLSearchParams): Sorting {
  const text = query.get('sort') ?? 'name'
  return { by: text.replace(/^-/, ''), descending: text.startsWith('-') }
}

const noRuns: RunsByNode = new Map()

/** Numbers in names count as numbers: rack1-node2 stands before rack1-node10. */
const inOrder = new Intl.Collator(undefined, { numeric: true })

function useShown(
  nodes: readonly FleetNode[] | undefined,
  filters: Filters,
  { by, descending }: Sorting,
  nowMs: number | undefined,
  runs: RunsByNode,
): readonly FleetNode[] {
  return useMemo(() => {
    const column: Column | undefined = allColumns.find(one => one.id === by)
    const kept = (nodes ?? []).filter(node => holds(filters, node, { nowMs: nowMs ?? Date.now(), runs }))
    if (!column) return kept
    const keyed = kept.map(node => ({ node, key: column.sortBy(node) }))
    keyed.sort(({ key: a }, { key: b }) =>
      typeof a === 'number' && typeof b === 'number' ? a - b : inOrder.compare(String(a), String(b)),
    )
    const sorted = keyed.map(({ node }) => node)
    return descending ? sorted.reverse() : sorted
  }, [nodes, filters, by, descending, nowMs, runs])
}

function BulkMenu({ nodes, onChoose }: { nodes: readonly FleetNode[]; onChoose: (action: Action) => void }) {
  const [open, setOpen] = useState(false)
  const navigate = useNavigate()
  const possible = (action: Action) => nodes.some(node => action.refusal(node) === undefined)
  const shown = open ? [...provisionActions, ...powerActions, ...maintenanceActions].filter(possible) : []
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      popperProps={{ position: 'end' }}
      isScrollable
      toggle={ref => (
        <MenuToggle
          ref={ref}
          variant="primary"
          isExpanded={open}
          isDisabled={nodes.length === 0}
          onClick={() => setOpen(!open)}
        >
          {nodes.length === 0 ? 'Actions' : `Actions on ${nodes.length.toLocaleString()}`}
        </MenuToggle>
      )}
    >
      <DropdownList>
        {open && nodes.some(node => deployVerb(node) !== undefined) && (
          <DropdownItem onClick={() => void navigate(`/deploy?node=${nodes.map(({ uuid }) => uuid).join(',')}`)}>
            Deploy, with a plan first …
          </DropdownItem>
        )}
        {shown.map(action => (
          <DropdownItem key={action.id} isDanger={action.isDestructive === true} onClick={() => onChoose(action)}>
            {action.label}
          </DropdownItem>
        ))}
      </DropdownList>
    </Dropdown>
  )
}
