/** What went wrong lately, in the words of the service; each leads to its explanation. */
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { Link } from 'react-router'
import { part } from '../../api.ts'
import { hasFailed, inStateMs } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'
import { StateLabel } from '../../parts/state-label.tsx'
import { duration } from '../../parts/time.ts'

const most = 8

export function Failures({ nodes, nowMs }: { nodes: readonly FleetNode[]; nowMs: number }) {
  const failed = nodes.filter(node => hasFailed(node) || node.last_error !== null)
  if (failed.length === 0) return <p className="ferrite-subtle">No node has failed.</p>
  const newest = [...failed].sort((a, b) => (b.provision_updated_at ?? '').localeCompare(a.provision_updated_at ?? ''))
  return (
    <Table variant="compact" borders={false} aria-label="Recent failures">
      <Thead>
        <Tr>
          <Th>Node</Th>
          <Th>State</Th>
          <Th>Since</Th>
          <Th width={50}>Error</Th>
          <Th screenReaderText="Explanation" />
        </Tr>
      </Thead>
      <Tbody>
        {newest.slice(0, most).map(node => (
          <Tr key={node.uuid}>
            <Td dataLabel="Node" modifier="nowrap">
              <Link to={`/nodes/${part(node.uuid)}`}>{node.name ?? node.uuid}</Link>
            </Td>
            <Td dataLabel="State">
              <StateLabel state={node.provision_state} />
            </Td>
            <Td dataLabel="Since" modifier="nowrap">
              {duration(inStateMs(node, nowMs) ?? 0)}
            </Td>
            <Td dataLabel="Error">
              <span className="ferrite-clamp" title={node.last_error ?? undefined}>
                {node.last_error ?? node.fault ?? '–'}
              </span>
            </Td>
            <Td dataLabel="Explanation">
              <Link to={`/nodes/${part(node.uuid)}/why`} aria-label={`Why ${node.name ?? node.uuid} failed`}>
                Why?
              </Link>
            </Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  )
}
