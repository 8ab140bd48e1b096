/** A plan, for somebody who is about to let it happen: what stands in the way first, then what is lost, then the course. */
import { Alert, Card, CardBody, CardTitle, Label, List, ListItem, OrderType, Stack } from '@patternfly/react-core'
import type { Plan, PlannedDisk } from '#protocol/plan.ts'
import { bytes, diskSize } from '../../parts/amounts.ts'
import { Facts } from '../../parts/facts.tsx'
import { duration } from '../../parts/time.ts'

const fates = { written: 'red', erased: 'orange', kept: 'grey' } as const

export function PlanView({ plan }: { plan: Plan }) {
  const { refusals, disks, image, steps, power, boots, duration: took, notes } = plan
  return (
    <Stack hasGutter>
      {refusals.length > 0 ? (
        <Alert variant="danger" component="h2" isInline title="It would be refused now">
          <List>
            {refusals.map(({ code, message }) => (
              <ListItem key={message}>
                {message} <span className="ferrite-subtle">({code})</span>
              </ListItem>
            ))}
          </List>
        </Alert>
      ) : (
        <Alert variant="success" component="h2" isInline title="Nothing stands in the way" />
      )}
      <Card>
        <CardTitle component="h2">In short</CardTitle>
        <CardBody>
          <Facts
            facts={[
              ['From, to', `${plan.from_state} → ${plan.ends_in ?? 'not possible now'}`],
              ['Reboots', `${boots}${plan.power_complete ? '' : ', and what some steps do besides'}`],
              [
                'Takes',
                took
                  ? `about ${duration(took.seconds * 1000)}, ${duration(took.seconds_p90 * 1000)} at most in nine of ten (${took.runs} earlier runs of ${took.model})`
                  : 'not known: no earlier run of this model',
              ],
              [
                'Image',
                image &&
                  [
                    image.source,
                    image.format,
                    image.size_bytes === null ? null : bytes(image.size_bytes),
                    image.fetched_by === 'agent'
                      ? 'fetched by the machine'
                      : image.in_cache
                        ? 'in the store here'
                        : 'fetched here first',
                  ]
                    .filter(Boolean)
                    .join(', '),
              ],
              ['Checksum', image?.checksum],
            ]}
          />
          {notes.length > 0 && (
            <List className="ferrite-gap-above">
              {notes.map(note => (
                <ListItem key={note}>{note}</ListItem>
              ))}
            </List>
          )}
        </CardBody>
      </Card>
      {disks && <Disks disks={disks} />}
      <Card>
        <CardTitle component="h2">Steps</CardTitle>
        <CardBody>
          <List component="ol" type={OrderType.number}>
            {steps.map((step, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a step may be listed twice, and the list does not change
              <ListItem key={index}>
                {step.interface}.{step.step}{' '}
                <span className="ferrite-subtle">
                  {step.side === 'agent' ? 'by the agent' : 'by the service'}
                  {step.wanted_by !== 'priority' && `, by ${step.wanted_by}`}
                  {step.known_from === 'unknown' && ', not known here'}
                </span>{' '}
                {step.power?.map(change => (
                  <Label key={change} isCompact color="orange">
                    {change}
                  </Label>
                ))}
              </ListItem>
            ))}
            {!plan.steps_complete && <ListItem>… and what the agent adds</ListItem>}
          </List>
        </CardBody>
      </Card>
      <Card>
        <CardTitle component="h2">Power</CardTitle>
        <CardBody>
          <List component="ol" type={OrderType.number}>
            {power.map(({ to, why }) => (
              <ListItem key={`${to} ${why}`}>
                {to} <span className="ferrite-subtle">{why}</span>
              </ListItem>
            ))}
          </List>
        </CardBody>
      </Card>
    </Stack>
  )
}

function Disks({ disks }: { disks: readonly PlannedDisk[] }) {
  return (
    <Card>
      <CardTitle component="h2">Disks</CardTitle>
      <CardBody>
        <List isPlain isBordered>
          {disks.map((disk, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: disks of a BMC may have the same names
            <ListItem key={index}>
              <strong>{disk.name ?? 'A disk'}</strong>{' '}
              <Label isCompact color={fates[disk.fate]}>
                {disk.fate}
              </Label>
              <div>
                {[
                  disk.serial === null ? 'no serial number known' : `serial number ${disk.serial}`,
                  disk.size_bytes === null ? null : diskSize(disk.size_bytes),
                  disk.model,
                ]
                  .filter(Boolean)
                  .join(', ')}
              </div>
              <div className="ferrite-small">{disk.why}</div>
            </ListItem>
          ))}
        </List>
      </CardBody>
    </Card>
  )
}
