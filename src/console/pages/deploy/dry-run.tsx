/**
 * What would happen, before it does: of one node its whole plan, of several a line for each, and the whole plan of the one
 * that is looked at. Who would be refused is left out, and why is said.
 */
import { Alert, Button, Checkbox, Label } from '@patternfly/react-core'
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { useState } from 'react'
import type { Plan } from '#protocol/plan.ts'
import type { FleetNode } from '../../fleet.ts'
import { FaultAlert, messageOf } from '../../parts/fault-alert.tsx'
import { Loading } from '../../parts/loading.tsx'
import { duration } from '../../parts/time.ts'
import { PlanView } from './plan-view.tsx'
import type { Planned, Plans } from './use-plans.ts'
import { losesInstance } from './wish.ts'

interface Props {
  readonly nodes: readonly FleetNode[]
  readonly plans: Plans
  readonly isAgreed: boolean
  readonly onAgree: (isAgreed: boolean) => void
  readonly onAgain: () => void
}

/** Nothing speaks against it now. */
export const isPossible = (planned: Planned | undefined) =>
  planned?.kind === 'plan' && planned.plan.refusals.length === 0

export function DryRun({ nodes, plans, isAgreed, onAgree, onAgain }: Props) {
  const [named, setNamed] = useState<string>()
  const shown = nodes.length === 1 ? nodes[0] : nodes.find(({ uuid }) => uuid === named)
  const losing = nodes.filter(node => isPossible(plans.get(node.uuid)) && losesInstance(node))
  return (
    <>
      {nodes.length > 1 && <Summary nodes={nodes} plans={plans} shown={shown?.uuid} onShow={setNamed} />}
      {shown && <Whole node={shown} planned={plans.get(shown.uuid)} />}
      <p className="ferrite-gap-above">
        <Button variant="link" isInline onClick={onAgain}>
          Plan again
        </Button>
      </p>
      {losing.length > 0 && (
        <Checkbox
          id="deploy-agreed"
          label={`Yes, end the instance of ${losing.length === 1 ? (losing[0]?.name ?? losing[0]?.uuid) : `${losing.length} nodes`}`}
          isChecked={isAgreed}
          onChange={(_, isChecked) => onAgree(isChecked)}
        />
      )}
    </>
  )
}

function Whole({ node, planned }: { node: FleetNode; planned: Planned | undefined }) {
  const name = node.name ?? node.uuid
  if (!planned) return <Loading what={`the plan of ${name}`} />
  if (planned.kind === 'fault') return <FaultAlert error={planned.error} what={`plan the deployment of ${name}`} />
  return <PlanView plan={planned.plan} />
}

interface SummaryProps extends Pick<Props, 'nodes' | 'plans'> {
  readonly shown: string | undefined
  readonly onShow: (uuid: string | undefined) => void
}

function Summary({ nodes, plans, shown, onShow }: SummaryProps) {
  const possible = nodes.filter(({ uuid }) => isPossible(plans.get(uuid))).length
  const isWhole = plans.size === nodes.length
  const refused = plans.size - possible
  return (
    <>
      <Alert
        variant={!isWhole ? 'info' : refused === 0 ? 'success' : possible === 0 ? 'danger' : 'warning'}
        component="h2"
        isInline
        title={
          isWhole
            ? `${possible} of ${nodes.length} nodes would be deployed${refused > 0 ? `; ${refused} would be refused, and are left out` : ''}`
            : `${plans.size} of ${nodes.length} nodes are planned …`
        }
      />
      <Table variant="compact" aria-label="Plans">
        <Thead>
          <Tr>
            <Th>Node</Th>
            <Th>Would be written</Th>
            <Th>Reboots</Th>
            <Th>Takes</Th>
            <Th width={40}>Refused</Th>
            <Th screenReaderText="Whole plan" />
          </Tr>
        </Thead>
        <Tbody>
          {nodes.map(node => {
            const { uuid, name } = node
            const planned = plans.get(uuid)
            const plan = planned?.kind === 'plan' ? planned.plan : undefined
            return (
              <Tr key={uuid}>
                <Td dataLabel="Node" modifier="nowrap">
                  {name ?? uuid}{' '}
                  {losesInstance(node) && (
                    <Label isCompact color="red">
                      rebuilt
                    </Label>
                  )}
                </Td>
                <Td dataLabel="Would be written">{plan ? written(plan) : '…'}</Td>
                <Td dataLabel="Reboots">{plan?.boots ?? '…'}</Td>
                <Td dataLabel="Takes">{plan ? took(plan) : '…'}</Td>
                <Td dataLabel="Refused">{refusalOf(planned)}</Td>
                <Td isActionCell>
                  <Button
                    variant="link"
                    isInline
                    aria-pressed={uuid === shown}
                    aria-label={`Whole plan of ${name ?? uuid}`}
                    onClick={() => onShow(uuid === shown ? undefined : uuid)}
                  >
                    Whole plan
                  </Button>
                </Td>
              </Tr>
            )
          })}
        </Tbody>
      </Table>
    </>
  )
}

/** The disks that get the image, by their serial numbers. */
function written({ disks }: Plan): string {
  if (disks === null) return 'not known: not inspected'
  const found = disks.filter(({ fate }) => fate === 'written')
  return found.map(({ name, serial }) => [name, serial].filter(Boolean).join(' ')).join(', ') || 'no disk'
}

const took = ({ duration: expected }: Plan) => (expected ? duration(expected.seconds * 1000) : 'not known')

function refusalOf(planned: Planned | undefined): string {
  if (!planned) return '…'
  if (planned.kind === 'fault') return messageOf(planned.error)
  return planned.plan.refusals.map(({ message }) => message).join('; ') || '–'
}
