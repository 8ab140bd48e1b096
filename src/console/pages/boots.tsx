/** What machines ask while they boot: addresses that they were given, how far each got, and machines nobody knows. */
import {
  Card,
  CardBody,
  CardTitle,
  EmptyState,
  EmptyStateBody,
  Label,
  PageSection,
  Stack,
  Title,
} from '@patternfly/react-core'
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { Link } from 'react-router'
import { hops } from '#protocol/boot.ts'
import { useFleet } from '../fleet.ts'
import { latestEvents } from '../latest-events.ts'
import type { LiveEvent } from '../live.ts'
import { Asked } from '../parts/asked.tsx'
import { duration, moment, useNow } from '../parts/time.ts'

const kinds = ['boot hop', 'boot trouble', 'boot again', 'boot diagnosis', 'stranger']
/** Hops that follow each other within this time are of one boot. */
const sameBootMs = 15 * 60_000

export default function Boots() {
  const query = useQuery({
    queryKey: ['events', 'boots'],
    queryFn: async ({ signal }) => (await latestEvents({ kind: kinds, latest: 1000 }, signal)).events,
    refetchInterval: 5000,
  })
  return (
    <PageSection isFilled>
      <div className="ferrite-heading">
        <Title headingLevel="h1">Leases and boot attempts</Title>
        <p className="ferrite-subtle">
          A boot is a conversation: an address, a loader, a script, kernel and ramdisk, and the agent’s first call. The
          last hop says where one stopped.
        </p>
      </div>
      <Asked query={query} what="read what was seen of boots">
        {events => <Seen events={events} />}
      </Asked>
    </PageSection>
  )
}

function Seen({ events }: { events: readonly LiveEvent[] }) {
  const nowMs = useNow(5000)
  const { data: fleet } = useFleet()
  const names = useMemo(() => new Map(fleet?.nodes.map(node => [node.uuid, node.name ?? node.uuid])), [fleet])
  const node = (uuid: string) => <Link to={`/nodes/${uuid}`}>{names.get(uuid) ?? uuid}</Link>
  const leases = leasesIn(events)
  const boots = bootsIn(events)
  return (
    <Stack hasGutter>
      <Card>
        <CardTitle component="h2">Boot attempts</CardTitle>
        <CardBody>
          {boots.length === 0 ? (
            <Nothing what="No machine has booted from here lately." />
          ) : (
            <div className="ferrite-scroll-x">
              <Table variant="compact" aria-label="Boot attempts">
                <Thead>
                  <Tr>
                    <Th>Node</Th>
                    <Th>Began</Th>
                    <Th>Hops</Th>
                    <Th>Last hop</Th>
                    <Th width={20}>Trouble</Th>
                  </Tr>
                </Thead>
                <Tbody>
                  {boots.map(({ key, uuid, began, last, seen, troubles }) => (
                    <Tr key={key}>
                      <Td dataLabel="Node" modifier="nowrap">
                        {node(uuid)}
                      </Td>
                      <Td dataLabel="Began">{moment(began)}</Td>
                      <Td dataLabel="Hops">
                        {hops.map(hop => (
                          <Label key={hop} isCompact color={seen.has(hop) ? 'green' : 'grey'} variant="outline">
                            {hop}
                          </Label>
                        ))}
                      </Td>
                      <Td dataLabel="Last hop">{duration(nowMs - Date.parse(last))} ago</Td>
                      <Td dataLabel="Trouble">{troubles.join('; ') || '–'}</Td>
                    </Tr>
                  ))}
                </Tbody>
              </Table>
            </div>
          )}
        </CardBody>
      </Card>
      <Card>
        <CardTitle component="h2">Addresses given</CardTitle>
        <CardBody>
          {leases.length === 0 ? (
            <Nothing what="No address was given lately: another DHCP server does that, or nobody asked." />
          ) : (
            <Table variant="compact" aria-label="Addresses given">
              <Thead>
                <Tr>
                  <Th>Address</Th>
                  <Th>MAC address</Th>
                  <Th>Node</Th>
                  <Th>Given</Th>
                </Tr>
              </Thead>
              <Tbody>
                {leases.map(({ at, node_uuid, data }) => (
                  <Tr key={String(data.mac)}>
                    <Td dataLabel="Address">{String(data.ip ?? '–')}</Td>
                    <Td dataLabel="MAC address">{String(data.mac ?? '–')}</Td>
                    <Td dataLabel="Node">{node_uuid === null ? '–' : node(node_uuid)}</Td>
                    <Td dataLabel="Given">{duration(nowMs - Date.parse(at))} ago</Td>
                  </Tr>
                ))}
              </Tbody>
            </Table>
          )}
        </CardBody>
      </Card>
      <p>
        Machines that no port knows are in the <Link to="/enrol">discovery inbox</Link>.
      </p>
    </Stack>
  )
}

function Nothing({ what }: { what: string }) {
  return (
    <EmptyState titleText="Nothing seen" headingLevel="h3" variant="sm">
      <EmptyStateBody>{what}</EmptyStateBody>
    </EmptyState>
  )
}

/** The newest of each card. */
function leasesIn(events: readonly LiveEvent[]): LiveEvent[] {
  const given = events.filter(({ kind, data }) => kind === 'boot hop' && data.hop === 'dhcp ack')
  return [...new Map([...given].reverse().map(event => [String(event.data.mac), event])).values()].reverse()
}

interface Boot {
  readonly key: string
  readonly uuid: string
  readonly began: string
  readonly last: string
  readonly seen: ReadonlySet<string>
  readonly troubles: readonly string[]
}

/** The newest first. @param events the newest first */
function bootsIn(events: readonly LiveEvent[]): Boot[] {
  const boots: { uuid: string; events: LiveEvent[] }[] = []
  const current = new Map<string, { uuid: string; events: LiveEvent[] }>()
  for (const event of [...events].reverse()) {
    const uuid = event.node_uuid
    if (uuid === null) continue
    const known = current.get(uuid)
    const last = known?.events.at(-1)
    const isNew =
      last === undefined ||
      Date.parse(event.at) - Date.parse(last.at) > sameBootMs ||
      (last.data.hop === 'lookup' && event.data.hop !== 'lookup')
    const boot = known && !isNew ? known : { uuid, events: [] }
    if (boot !== known) {
      boots.push(boot)
      current.set(uuid, boot)
    }
    boot.events.push(event)
  }
  return boots.reverse().map(({ uuid, events: own }) => ({
    key: `${uuid} ${own[0]?.id}`,
    uuid,
    began: own[0]?.at ?? '',
    last: own.at(-1)?.at ?? '',
    seen: new Set(own.map(({ data }) => String(data.hop))),
    troubles: own.flatMap(({ kind, data }) =>
      kind === 'boot hop' ? [] : [String(data.what ?? data.why ?? data.cause ?? kind)],
    ),
  }))
}
