/** Where the time of each run went: every second in a phase, and for the run under way what is still to come. */
import { ExpandableSection, Label } from '@patternfly/react-core'
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { useState } from 'react'
import type { Phase, PhaseName, Run } from '#protocol/timeline.ts'
import { bytes, rate } from '../../parts/amounts.ts'
import { Asked } from '../../parts/asked.tsx'
import { duration, moment, timeOfDay } from '../../parts/time.ts'
import type { TabProps } from '../node.tsx'
import { useTimeline } from './use-timeline.ts'

export default function TimelineTab({ node }: TabProps) {
  const query = useTimeline(node, { limit: 20 })
  return (
    <Asked query={query} what="show where the time went">
      {({ model, runs }) => (
        <>
          <p className="ferrite-subtle">Compared with runs of {model}.</p>
          <ul className="ferrite-legend ferrite-small">
            {Object.entries(groups).map(([name, phases]) => (
              <li key={name} title={phases.join(', ')}>
                <span className={`ferrite-key ferrite-phase-${name}`} aria-hidden="true" />
                {name}
              </li>
            ))}
          </ul>
          {runs.length === 0 && <p>Nothing has been done to this node yet.</p>}
          {runs.map((run, index) => (
            <RunSection key={run.id} run={run} isFirst={index === 0} />
          ))}
        </>
      )}
    </Asked>
  )
}

function RunSection({ run, isFirst }: { run: Run; isFirst: boolean }) {
  const expected = run.now?.to_come.reduce((sum, phase) => sum + phase.seconds, 0) ?? 0
  const whole = Math.max(run.seconds + expected, 0.001)
  const [isOpen, setOpen] = useState(isFirst)
  const count = run.phases.length
  return (
    <section className="ferrite-run">
      <div className="ferrite-between">
        <h2>
          {run.kind} <Outcome run={run} />
        </h2>
        <span className="ferrite-subtle">
          {moment(run.started_at)} · {exact(run.seconds)}
          {run.expected_s !== null && `, usually ${exact(run.expected_s)}`}
          {run.requested_by !== null && ` · asked for by ${run.requested_by}`}
        </span>
      </div>
      <div className="ferrite-phases" aria-hidden="true">
        {run.phases.map(phase => (
          <span
            key={`${phase.started_at} ${phase.phase}`}
            className={`ferrite-phase-${group(phase.phase)}`}
            style={{ inlineSize: `${(phase.seconds / whole) * 100}%` }}
            title={`${phase.phase}: ${exact(phase.seconds)}, ${phase.what}`}
          />
        ))}
        {run.now?.to_come.map(phase => (
          <span
            key={`to come ${phase.phase}`}
            className="ferrite-phase-to-come"
            style={{ inlineSize: `${(phase.seconds / whole) * 100}%` }}
            title={`to come: ${phase.phase}, about ${exact(phase.seconds)}`}
          />
        ))}
      </div>
      {run.error !== null && <p className="ferrite-overdue">{run.error}</p>}
      <ExpandableSection
        toggleText={count === 1 ? 'One phase' : `${count} phases`}
        isExpanded={isOpen}
        onToggle={(_, open) => setOpen(open)}
      >
        <Phases phases={run.phases} />
      </ExpandableSection>
    </section>
  )
}

function Phases({ phases }: { phases: readonly Phase[] }) {
  return (
    <Table variant="compact" borders={false} aria-label="Phases">
      <Thead>
        <Tr>
          <Th>Began</Th>
          <Th>Phase</Th>
          <Th>Took</Th>
          <Th>What</Th>
          <Th>Step</Th>
          <Th>Moved</Th>
        </Tr>
      </Thead>
      <Tbody>
        {phases.map(phase => (
          <Tr key={`${phase.started_at} ${phase.phase} ${phase.what}`}>
            <Td dataLabel="Began" modifier="nowrap">
              {timeOfDay(phase.started_at)}
            </Td>
            <Td dataLabel="Phase" modifier="nowrap">
              <span className={`ferrite-key ferrite-phase-${group(phase.phase)}`} aria-hidden="true" />
              {phase.phase}
            </Td>
            <Td dataLabel="Took" modifier="nowrap">
              {exact(phase.seconds)}
            </Td>
            <Td dataLabel="What">{phase.what}</Td>
            <Td dataLabel="Step">{phase.step === null ? '–' : <code>{phase.step}</code>}</Td>
            <Td dataLabel="Moved" modifier="nowrap">
              {phase.bytes === null ? '–' : bytes(phase.bytes)}
              {phase.rate_bytes_per_s !== null && ` at ${rate(phase.rate_bytes_per_s)}`}
            </Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  )
}

function Outcome({ run: { outcome, now } }: { run: Run }) {
  if (outcome === null) {
    return (
      <Label isCompact color="blue">
        {now ? now.phase : 'under way'}
      </Label>
    )
  }
  return (
    <Label isCompact color={outcome === 'done' ? 'green' : outcome === 'failed' ? 'red' : 'orange'}>
      {outcome}
    </Label>
  )
}

/** Seven colours tell more than twenty: who the time went to. */
const groups: Readonly<Record<string, readonly PhaseName[]>> = {
  waiting: ['queue', 'hold'],
  service: ['conductor', 'image', 'network', 'undo'],
  bmc: ['bmc', 'reboot'],
  booting: ['boot', 'firmware', 'dhcp', 'fetch', 'kernel'],
  agent: ['agent', 'inspect', 'clean', 'service'],
  writing: ['write', 'configure'],
}

function group(phase: PhaseName): string {
  return Object.keys(groups).find(name => groups[name]?.includes(phase)) ?? 'unattributed'
}

function exact(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds * 1000)
}
