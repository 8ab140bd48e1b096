/** Wishes for nodes, and which node each got. */
import { Label } from '@patternfly/react-core'
import { Link } from 'react-router'
import { RecordPage } from '../parts/record-page.tsx'
import { moment } from '../parts/time.ts'

interface Allocation {
  readonly uuid: string
  readonly name: string | null
  readonly state: 'allocating' | 'active' | 'error'
  readonly resource_class: string | null
  readonly traits: readonly string[]
  readonly node_uuid: string | null
  readonly last_error: string | null
  readonly owner: string | null
  readonly created_at: string
}

const colors = { allocating: 'blue', active: 'green', error: 'red' } as const

export default function Allocations() {
  return (
    <RecordPage<Allocation>
      title="Allocations"
      about="A wish for a node of a class, with traits; the first available node that fits is kept for it."
      noun="allocation"
      path="/v1/allocations"
      listName="allocations"
      hasDetail={false}
      columns={[
        { label: 'Name', text: ({ name, uuid }) => name ?? uuid },
        {
          label: 'State',
          text: ({ state }) => state,
          shown: ({ state, last_error }) => (
            <>
              <Label isCompact color={colors[state]}>
                {state}
              </Label>
              {last_error !== null && <div className="ferrite-small">{last_error}</div>}
            </>
          ),
        },
        { label: 'Resource class', text: ({ resource_class }) => resource_class ?? '' },
        { label: 'Traits', text: ({ traits }) => traits.join(', ') },
        {
          label: 'Node',
          text: ({ node_uuid }) => node_uuid ?? '',
          shown: ({ node_uuid }) => (node_uuid === null ? '–' : <Link to={`/nodes/${node_uuid}`}>{node_uuid}</Link>),
        },
        { label: 'Owner', text: ({ owner }) => owner ?? '' },
        { label: 'Made', text: ({ created_at }) => created_at, shown: ({ created_at }) => moment(created_at) },
      ]}
      template={{ name: 'web-1', resource_class: 'baremetal', traits: [] }}
      hint="resource_class is needed; candidate_nodes narrows the choice, node takes one that is deployed already."
      empty="New allocation keeps a node; schedulers make them by themselves."
      editable={['name', 'extra']}
    />
  )
}
