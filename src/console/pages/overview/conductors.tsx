/** The processes that work on nodes: whether each is alive, and how many nodes it serves. */
import { Label } from '@patternfly/react-core'
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { all } from '../../api.ts'
import { isBusy } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'
import type { Conductor } from '../../node-type.ts'
import { FaultAlert } from '../../parts/fault-alert.tsx'
import { duration } from '../../parts/time.ts'

export function Conductors({ nodes, nowMs }: { nodes: readonly FleetNode[]; nowMs: number }) {
  const { data, error } = useQuery({
    queryKey: ['conductors'],
    queryFn: ({ signal }) => all<Conductor>('/v1/conductors', 'conductors', { query: { detail: true }, signal }),
    refetchInterval: 15_000,
  })
  if (error) return <FaultAlert error={error} what="list the conductors" />
  const served = (hostname: string) => nodes.filter(node => node.conductor === hostname)
  const unserved = nodes.filter(node => node.conductor === null).length
  return (
    <>
      <Table variant="compact" borders={false} aria-label="Conductors">
        <Thead>
          <Tr>
            <Th>Host</Th>
            <Th>Group</Th>
            <Th>Health</Th>
            <Th>Heard of</Th>
            <Th>Nodes</Th>
            <Th>Under way</Th>
          </Tr>
        </Thead>
        <Tbody>
          {data?.map(({ hostname, conductor_group, alive, updated_at }) => (
            <Tr key={hostname}>
              <Td dataLabel="Host">{hostname}</Td>
              <Td dataLabel="Group">{conductor_group || '–'}</Td>
              <Td dataLabel="Health">
                <Label isCompact color={alive ? 'green' : 'red'}>
                  {alive ? 'alive' : 'not heard of'}
                </Label>
              </Td>
              <Td dataLabel="Heard of">{updated_at ? `${duration(nowMs - Date.parse(updated_at))} ago` : '–'}</Td>
              <Td dataLabel="Nodes">
                <Link to={`/nodes?conductor=${encodeURIComponent(hostname)}`}>
                  {served(hostname).length.toLocaleString()}
                </Link>
              </Td>
              <Td dataLabel="Under way">{served(hostname).filter(isBusy).length.toLocaleString()}</Td>
            </Tr>
          ))}
        </Tbody>
      </Table>
      {unserved > 0 && (
        <p className="ferrite-small">
          {unserved.toLocaleString()} nodes are served by nobody: no conductor that is alive has their hardware type and
          group.
        </p>
      )}
    </>
  )
}
