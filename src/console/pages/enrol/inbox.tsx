/** Machines that nobody enrolled: those that inspection made nodes of by itself, and those that only asked. */
import { Card, CardBody, CardTitle, EmptyState, EmptyStateBody, Stack } from '@patternfly/react-core'
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { all } from '../../api.ts'
import { latestEvents } from '../../latest-events.ts'
import type { LiveEvent } from '../../live.ts'
import type { Node } from '../../node-type.ts'
import { Asked } from '../../parts/asked.tsx'
import { duration, useNow } from '../../parts/time.ts'

type Enrolled = Pick<Node, 'uuid' | 'name' | 'driver' | 'provision_updated_at' | 'properties'>

export function Inbox({ enrol }: { enrol: (mac: string) => ReactNode }) {
  return (
    <Stack hasGutter>
      <Card>
        <CardTitle component="h2">Nodes that wait to be managed</CardTitle>
        <CardBody>
          <Waiting />
        </CardBody>
      </Card>
      <Card>
        <CardTitle component="h2">Machines that no port knows</CardTitle>
        <CardBody>
          <Strangers enrol={enrol} />
        </CardBody>
      </Card>
    </Stack>
  )
}

function Waiting() {
  const nowMs = useNow(10_000)
  const query = useQuery({
    queryKey: ['nodes', 'enroll'],
    queryFn: ({ signal }) =>
      all<Enrolled>('/v1/nodes', 'nodes', {
        query: { provision_state: 'enroll', fields: ['uuid', 'name', 'driver', 'provision_updated_at', 'properties'] },
        signal,
      }),
    refetchInterval: 15_000,
  })
  return (
    <Asked query={query} what="list the nodes that wait">
      {nodes =>
        nodes.length === 0 ? (
          <Nothing what="Every node has been taken under management." />
        ) : (
          <Table variant="compact" aria-label="Nodes that wait to be managed">
            <Thead>
              <Tr>
                <Th>Node</Th>
                <Th>Driver</Th>
                <Th>Processors, memory</Th>
                <Th>Last change</Th>
              </Tr>
            </Thead>
            <Tbody>
              {nodes.map(({ uuid, name, driver, provision_updated_at, properties }) => (
                <Tr key={uuid}>
                  <Td dataLabel="Node">
                    <Link to={`/nodes/${uuid}`}>{name ?? uuid}</Link>
                  </Td>
                  <Td dataLabel="Driver">{driver}</Td>
                  <Td dataLabel="Processors, memory">
                    {properties?.cpus === undefined
                      ? 'not inspected'
                      : `${properties.cpus}, ${properties.memory_mb} MiB`}
                  </Td>
                  <Td dataLabel="Last change">
                    {provision_updated_at
                      ? `${duration(nowMs - Date.parse(String(provision_updated_at)))} ago`
                      : 'never'}
                  </Td>
                </Tr>
              ))}
            </Tbody>
          </Table>
        )
      }
    </Asked>
  )
}

function Strangers({ enrol }: { enrol: (mac: string) => ReactNode }) {
  const nowMs = useNow(10_000)
  const query = useQuery({
    queryKey: ['events', 'strangers'],
    queryFn: async ({ signal }) =>
      newestOfEach((await latestEvents({ kind: ['stranger'], latest: 500 }, signal)).events),
    refetchInterval: 10_000,
  })
  return (
    <Asked query={query} what="list the machines that no port knows">
      {strangers =>
        strangers.length === 0 ? (
          <Nothing what="A machine that asks for an address, or whose ramdisk calls, is shown here, until it is enrolled." />
        ) : (
          <Table variant="compact" aria-label="Machines that no port knows">
            <Thead>
              <Tr>
                <Th>MAC addresses</Th>
                <Th>Asked for</Th>
                <Th>Last</Th>
                <Th screenReaderText="Actions" />
              </Tr>
            </Thead>
            <Tbody>
              {strangers.map(({ id, at, data }) => {
                const macs = macsOf(data)
                return (
                  <Tr key={id}>
                    <Td dataLabel="MAC addresses">{macs.join(', ')}</Td>
                    <Td dataLabel="Asked for">{data.asked === 'dhcp' ? 'an address' : 'its node'}</Td>
                    <Td dataLabel="Last">{duration(nowMs - Date.parse(at))} ago</Td>
                    <Td isActionCell>{macs[0] !== undefined && enrol(macs[0])}</Td>
                  </Tr>
                )
              })}
            </Tbody>
          </Table>
        )
      }
    </Asked>
  )
}

function Nothing({ what }: { what: string }) {
  return (
    <EmptyState titleText="Nobody waits" headingLevel="h3" variant="sm">
      <EmptyStateBody>{what}</EmptyStateBody>
    </EmptyState>
  )
}

function macsOf({ macs }: LiveEvent['data']): string[] {
  return Array.isArray(macs) ? macs.map(String) : []
}

/** @param events the newest first */
function newestOfEach(events: readonly LiveEvent[]): LiveEvent[] {
  return [...new Map([...events].reverse().map(event => [macsOf(event.data).join(), event])).values()].reverse()
}
