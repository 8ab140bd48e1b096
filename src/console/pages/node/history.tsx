/** Everything that was done to the node and happened to it, the newest first, and who asked for it. */
import { Button, Label, ToggleGroup, ToggleGroupItem } from '@patternfly/react-core'
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { get, part } from '../../api.ts'
import type { HistoryEntry } from '../../node-type.ts'
import { FaultAlert } from '../../parts/fault-alert.tsx'
import { Loading } from '../../parts/loading.tsx'
import { duration, moment } from '../../parts/time.ts'
import type { TabProps } from '../node.tsx'

interface Page {
  readonly history: readonly HistoryEntry[]
  readonly next?: string
}

const pageSize = 100

export default function History({ node }: TabProps) {
  const [onlyErrors, setOnlyErrors] = useState(false)
  const { data, error, refetch, fetchNextPage, hasNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ['node', node.uuid, 'history'],
    queryFn: ({ pageParam, signal }) =>
      get<Page>(`/v1/nodes/${part(node.uuid)}/history/detail`, {
        query: { limit: pageSize, sort_dir: 'desc', marker: pageParam },
        signal,
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next, history }) => (next === undefined ? undefined : history.at(-1)?.uuid),
  })
  if (error) return <FaultAlert error={error} what="read the history" onRetry={() => void refetch()} />
  if (!data) return <Loading what="the history" />
  const entries = data.pages.flatMap(page => page.history)
  const shown = onlyErrors ? entries.filter(entry => entry.severity === 'ERROR') : entries
  return (
    <>
      <ToggleGroup aria-label="Which entries" isCompact>
        <ToggleGroupItem text="All" isSelected={!onlyErrors} onChange={() => setOnlyErrors(false)} />
        <ToggleGroupItem text="Errors" isSelected={onlyErrors} onChange={() => setOnlyErrors(true)} />
      </ToggleGroup>
      <Table variant="compact" aria-label="History">
        <Thead>
          <Tr>
            <Th>Time</Th>
            <Th>Kind</Th>
            <Th width={40}>What</Th>
            <Th>State</Th>
            <Th>Took</Th>
            <Th>Who</Th>
            <Th>Conductor</Th>
          </Tr>
        </Thead>
        <Tbody>
          {shown.map(entry => (
            <Tr key={entry.uuid}>
              <Td dataLabel="Time" modifier="nowrap">
                {moment(entry.created_at)}
              </Td>
              <Td dataLabel="Kind">
                <Label isCompact color={entry.severity === 'ERROR' ? 'red' : 'grey'}>
                  {entry.event_type}
                </Label>
              </Td>
              <Td dataLabel="What">{entry.event}</Td>
              <Td dataLabel="State">{entry.state ?? '–'}</Td>
              <Td dataLabel="Took" modifier="nowrap">
                {entry.duration_seconds === null ? '–' : duration(entry.duration_seconds * 1000)}
              </Td>
              <Td dataLabel="Who">{[entry.user, entry.project].filter(Boolean).join(', ') || '–'}</Td>
              <Td dataLabel="Conductor">{entry.conductor ?? '–'}</Td>
            </Tr>
          ))}
        </Tbody>
      </Table>
      {shown.length === 0 && <p className="ferrite-subtle">Nothing so far.</p>}
      {hasNextPage && (
        <Button variant="link" isLoading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          Earlier entries
        </Button>
      )}
    </>
  )
}
