/** What happens in the whole fleet, as it happens, with what happened before; by kind. */
import {
  Button,
  Label,
  MenuToggle,
  Select,
  SelectList,
  SelectOption,
  Switch,
  ToolbarItem,
} from '@patternfly/react-core'
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback, useMemo, useState } from 'react'
import { Link } from 'react-router'
import { eventType } from '#protocol/event.ts'
import { type FleetNode, useFleet } from '../fleet.ts'
import { latestEvents } from '../latest-events.ts'
import { type LiveEvent, useEvents } from '../live.ts'
import { Json } from '../parts/facts.tsx'
import { ListPage } from '../parts/list-page.tsx'
import { moment } from '../parts/time.ts'

const pageSize = 200
const colors = { state: 'blue', step: 'teal', power: 'orange', boot: 'purple', other: 'grey' } as const
type Kind = keyof typeof colors

export default function Events() {
  const [isPaused, setPaused] = useState(false)
  const [type, setType] = useState<Kind>()
  const [live, setLive] = useState<readonly LiveEvent[]>([])
  const cache = useQueryClient()
  const query = useInfiniteQuery({
    queryKey: ['events', 'latest'],
    queryFn: ({ pageParam: before, signal }) =>
      latestEvents({ latest: pageSize, ...(before === undefined ? {} : { before }) }, signal),
    initialPageParam: undefined as number | undefined, // the newest
    getNextPageParam: last => last.olderThan,
    staleTime: Number.POSITIVE_INFINITY,
  })
  const hear = useCallback(
    (event: LiveEvent) => {
      if (!isPaused) setLive(now => [event, ...now].slice(0, 1000))
    },
    [isPaused],
  )
  useEvents(hear)
  const nodes = useNodes()
  const nameOf = (uuid: string | null) => (uuid === null ? '' : (nodes.get(uuid)?.name ?? uuid))
  const known = query.data?.pages.flatMap(({ events }) => events)
  const all = known && merged(live, known).filter(({ kind }) => type === undefined || eventType(kind) === type)
  return (
    <ListPage
      title="Events"
      about="Everything that is written down: who asked, states, steps, power, boots. A node’s own page has what concerns it alone."
      what="read what has happened"
      query={{ data: all, error: query.error, refetch: () => query.refetch() }}
      keyOf={({ id }) => String(id)}
      empty="Nothing has happened yet."
      columns={[
        { label: 'When', isWord: true, text: ({ at }) => at, shown: ({ at }) => moment(at) },
        {
          label: 'Node',
          isWord: true,
          text: ({ node_uuid }) => nameOf(node_uuid),
          shown: ({ node_uuid }) =>
            node_uuid === null ? '–' : <Link to={`/nodes/${node_uuid}`}>{nameOf(node_uuid)}</Link>,
        },
        {
          label: 'Kind',
          isWord: true,
          text: ({ kind }) => kind,
          shown: ({ kind }) => (
            <Label isCompact color={colors[kindOf(kind)]}>
              {kind}
            </Label>
          ),
        },
        { label: 'What', width: 50, text: ({ data }) => sentence(data) },
      ]}
      details={({ data }) => <Json value={data} />}
      actions={
        <>
          <ToolbarItem>
            <TypeChoice type={type} onChange={setType} />
          </ToolbarItem>
          <ToolbarItem alignSelf="center">
            <Switch id="live" label="Live" isChecked={!isPaused} onChange={(_, on) => setPaused(!on)} />
          </ToolbarItem>
          <ToolbarItem>
            <Button
              variant="secondary"
              isDisabled={!query.hasNextPage}
              isLoading={query.isFetchingNextPage}
              onClick={() => void query.fetchNextPage()}
            >
              Older
            </Button>
          </ToolbarItem>
          <ToolbarItem>
            <Button
              variant="link"
              onClick={() => {
                setLive([])
                void cache.resetQueries({ queryKey: ['events', 'latest'] })
              }}
            >
              Read anew
            </Button>
          </ToolbarItem>
        </>
      }
    />
  )
}

function useNodes(): ReadonlyMap<string, FleetNode> {
  const { data } = useFleet()
  return useMemo(() => new Map(data?.nodes.map(node => [node.uuid, node])), [data])
}

/** The newest first, each once. */
function merged(live: readonly LiveEvent[], known: readonly LiveEvent[]): LiveEvent[] {
  const newest = known[0]?.id ?? 0
  return [...live.filter(({ id }) => id > newest), ...known]
}

function kindOf(kind: string): Kind {
  const type = eventType(kind)
  return type in colors ? (type as Kind) : 'other' // one of the keys, as was just asked
}

const telling = [
  'told',
  'message',
  'error',
  'about',
  'flow',
  'from',
  'to',
  'step',
  'state',
  'hop',
  'what',
  'mac',
  'reason',
]

/** The parts of an event that say what it is about, in their order. */
function sentence(data: Readonly<Record<string, unknown>>): string {
  const parts = telling.flatMap(name => {
    const value = data[name]
    if (value === undefined || value === null || typeof value === 'object') return []
    return name === 'to' ? [`→ ${value}`] : [String(value)]
  })
  return parts.join(' ').slice(0, 300)
}

function TypeChoice({ type, onChange }: { type: Kind | undefined; onChange: (type: Kind | undefined) => void }) {
  const [isOpen, setOpen] = useState(false)
  const label = type === undefined ? 'All kinds' : `Of ${type}`
  return (
    <Select
      isOpen={isOpen}
      selected={type ?? 'all'}
      onOpenChange={setOpen}
      onSelect={(_, value) => {
        onChange(value === 'all' ? undefined : (value as Kind)) // one of the options below
        setOpen(false)
      }}
      toggle={ref => (
        <MenuToggle ref={ref} isExpanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {label}
        </MenuToggle>
      )}
    >
      <SelectList aria-label="Kinds of events">
        <SelectOption value="all">All kinds</SelectOption>
        {Object.keys(colors).map(one => (
          <SelectOption key={one} value={one}>
            {one}
          </SelectOption>
        ))}
      </SelectList>
    </Select>
  )
}
