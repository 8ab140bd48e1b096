/** What an inspection does with what it found. */
import { RecordPage } from '../parts/record-page.tsx'

interface Operation {
  readonly op: string
}

interface InspectionRule {
  readonly uuid: string
  readonly description: string | null
  readonly priority: number
  readonly phase: string | null
  readonly sensitive: boolean
  readonly conditions?: readonly Operation[]
  readonly actions?: readonly Operation[]
}

const ops = (list: readonly Operation[] | undefined) => (list ?? []).map(({ op }) => op).join(', ')

export default function InspectionRules() {
  return (
    <RecordPage<InspectionRule>
      title="Inspection rules"
      about="After an inspection, where all conditions of a rule hold, its actions are done: fields set, traits given, ports changed."
      noun="inspection rule"
      path="/v1/inspection_rules"
      listName="inspection_rules"
      columns={[
        { label: 'Priority', text: ({ priority }) => priority },
        { label: 'Description', text: ({ description, uuid }) => description ?? uuid },
        { label: 'Conditions', text: ({ conditions, sensitive }) => (sensitive ? 'not shown' : ops(conditions)) },
        { label: 'Actions', text: ({ actions, sensitive }) => (sensitive ? 'not shown' : ops(actions)) },
        { label: 'Phase', text: ({ phase }) => phase ?? 'main' },
      ]}
      template={{
        description: 'Racks by the name of the switch',
        priority: 100,
        conditions: [{ op: 'eq', args: { values: ['{inventory[system_vendor][manufacturer]}', 'Dell Inc.'] } }],
        actions: [{ op: 'set-attribute', args: { path: '/extra/rack', value: 'r1' } }],
      }}
      hint="The highest priority runs first. docs/inspection.md has all conditions and actions."
      empty="New inspection rule makes inspections set what they find."
      editable={['description', 'priority', 'sensitive', 'phase', 'conditions', 'actions']}
    />
  )
}
