/** The steps of the work that is under way, in their order, with the progress of the one that runs. */
import { EmptyState, EmptyStateBody, Label, Progress, ProgressSize, Title } from '@patternfly/react-core'
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import type { Progress as StepProgress } from '#protocol/progress.ts'
import { stepFieldOf } from '#protocol/states.ts'
import type { Node } from '../../node-type.ts'
import { bytes, rate } from '../../parts/amounts.ts'
import { duration } from '../../parts/time.ts'
import type { TabProps } from '../node.tsx'

interface Step {
  readonly interface?: string
  readonly step?: string
  readonly priority?: number
  readonly args?: Readonly<Record<string, unknown>> | null
}

const kinds = ['deploy', 'clean', 'service'] as const

export default function Steps({ node }: TabProps) {
  const shown = kinds.flatMap(kind => {
    const steps = stepsOf(node, kind)
    return steps.length === 0 ? [] : [{ kind, steps }]
  })
  const field = stepFieldOf(node.provision_state)
  const alone: Step | undefined = field && Object.keys(node[field]).length > 0 ? node[field] : undefined
  if (shown.length === 0 && alone?.step === undefined) {
    return (
      <EmptyState titleText="No steps are under way" headingLevel="h2">
        <EmptyStateBody>
          While the node is deployed, cleaned or serviced, its steps are listed here. Those of the past are in the
          timeline and the history.
        </EmptyStateBody>
      </EmptyState>
    )
  }
  return (
    <>
      {shown.map(({ kind, steps }) => (
        <StepTable key={kind} node={node} kind={kind} steps={steps} />
      ))}
      {shown.length === 0 && alone && (
        <StepTable node={node} kind={(field ?? '').replace('_step', '')} steps={[alone]} />
      )}
    </>
  )
}

function StepTable({ node, kind, steps }: { node: Node; kind: string; steps: readonly Step[] }) {
  const at = node.driver_internal_info[`${kind}_step_index`]
  const index = typeof at === 'number' ? at : 0
  const progress = progressOf(node)
  return (
    <>
      <Title headingLevel="h2">
        Steps of the {kind === 'clean' ? 'cleaning' : kind === 'deploy' ? 'deployment' : kind}
      </Title>
      <Table variant="compact" aria-label={`Steps of the ${kind}`}>
        <Thead>
          <Tr>
            <Th>Step</Th>
            <Th>Priority</Th>
            <Th>State</Th>
            <Th width={40}>Progress</Th>
            <Th>Arguments</Th>
          </Tr>
        </Thead>
        <Tbody>
          {steps.map((step, position) => (
            <Tr key={`${step.interface}.${step.step} ${step.priority}`}>
              <Td dataLabel="Step">
                <code>
                  {step.interface}.{step.step}
                </code>
              </Td>
              <Td dataLabel="Priority">{step.priority ?? '–'}</Td>
              <Td dataLabel="State">
                <Position is={position < index ? 'done' : position === index ? 'runs' : 'to come'} />
              </Td>
              <Td dataLabel="Progress">
                {position === index && progress?.step === `${step.interface}.${step.step}` && (
                  <Bar progress={progress} />
                )}
              </Td>
              <Td dataLabel="Arguments">
                {step.args && Object.keys(step.args).length > 0 ? <code>{JSON.stringify(step.args)}</code> : '–'}
              </Td>
            </Tr>
          ))}
        </Tbody>
      </Table>
    </>
  )
}

function Position({ is }: { is: 'done' | 'runs' | 'to come' }) {
  const color = { done: 'green', runs: 'blue', 'to come': 'grey' } as const
  return (
    <Label isCompact color={color[is]}>
      {is}
    </Label>
  )
}

function Bar({ progress: { phase, bytes: done, total_bytes, rate_bytes_per_s, eta_s } }: { progress: StepProgress }) {
  return (
    <Progress
      size={ProgressSize.sm}
      title={`${phase}: ${bytes(done)}${total_bytes === null ? '' : ` of ${bytes(total_bytes)}`}${rate_bytes_per_s === null ? '' : ` at ${rate(rate_bytes_per_s)}`}`}
      value={total_bytes ? (done / total_bytes) * 100 : 0}
      label={eta_s === null ? '' : `${duration(eta_s * 1000)} left`}
    />
  )
}

function stepsOf(node: Node, kind: (typeof kinds)[number]): readonly Step[] {
  const steps = node.driver_internal_info[`${kind}_steps`]
  return Array.isArray(steps) ? (steps as Step[]) : [] // the conductor writes it so: conductor/steps/run.ts
}

function progressOf(node: Node): StepProgress | undefined {
  const progress = node.driver_internal_info.progress
  return typeof progress === 'object' && progress !== null ? (progress as StepProgress) : undefined // likewise
}
