/** Whether each interface could do its work on the node as it is described now, and why not. */
import { Button, Label } from '@patternfly/react-core'
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { useQuery } from '@tanstack/react-query'
import { get, part } from '../../api.ts'
import { Asked } from '../../parts/asked.tsx'
import { moment } from '../../parts/time.ts'
import type { TabProps } from '../node.tsx'

type Answer = Readonly<Record<string, { readonly result: boolean | null; readonly reason?: string }>>

export default function Validation({ node }: TabProps) {
  const query = useQuery({
    // Not below ['node', …]: it may ask the outside, and is not asked anew by every event.
    queryKey: ['validation', node.uuid],
    queryFn: ({ signal }) => get<Answer>(`/v1/nodes/${part(node.uuid)}/validate`, { signal }),
  })
  return (
    <Asked query={query} what="validate the node">
      {interfaces => (
        <>
          <div className="ferrite-log-bar">
            <span className="ferrite-subtle">As of {moment(new Date(query.dataUpdatedAt).toISOString())}</span>
            <Button variant="link" isInline isLoading={query.isFetching} onClick={() => void query.refetch()}>
              Validate again
            </Button>
          </div>
          <Table variant="compact" aria-label="Validation">
            <Thead>
              <Tr>
                <Th>Interface</Th>
                <Th>Implementation</Th>
                <Th>Result</Th>
                <Th width={50}>Reason</Th>
              </Tr>
            </Thead>
            <Tbody>
              {Object.entries(interfaces).map(([name, { result, reason }]) => (
                <Tr key={name}>
                  <Td dataLabel="Interface">{name}</Td>
                  <Td dataLabel="Implementation">{String(node[`${name}_interface` as keyof typeof node] ?? '–')}</Td>
                  <Td dataLabel="Result">
                    <Label isCompact color={result === null ? 'grey' : result ? 'green' : 'red'}>
                      {result === null ? 'not offered' : result ? 'good' : 'not good'}
                    </Label>
                  </Td>
                  <Td dataLabel="Reason">{reason ?? '–'}</Td>
                </Tr>
              ))}
            </Tbody>
          </Table>
        </>
      )}
    </Asked>
  )
}
