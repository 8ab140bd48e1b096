/** The run that is under way: its phase, how far it is, at what pace, and how long it will take. */
import { Label, Progress, ProgressMeasureLocation } from '@patternfly/react-core'
import type { Now } from '#protocol/timeline.ts'
import type { Node } from '../../node-type.ts'
import { bytes, rate } from '../../parts/amounts.ts'
import { duration } from '../../parts/time.ts'
import { useTimeline } from './use-timeline.ts'

export function RunNow({ node }: { node: Node }) {
  const { data } = useTimeline(node, { limit: 1 })
  const run = data?.runs[0]
  const now = run?.now
  if (!run || !now) return null
  const fraction = now.fraction ?? now.phase_fraction
  return (
    <div className="ferrite-run-now" data-run={run.id}>
      <Progress
        title={`${run.kind}: ${now.phase}`}
        value={Math.round((fraction ?? 0) * 1000) / 10}
        label={fraction === null ? 'not known' : `${Math.round(fraction * 100)} %`}
        valueText={fraction === null ? 'how far it is, is not known' : `${Math.round(fraction * 100)} percent`}
        measureLocation={ProgressMeasureLocation.top}
        variant={now.is_overdue ? 'warning' : undefined}
      />
      <div className="ferrite-facts ferrite-small">
        <span>{now.what}</span>
        {now.step !== null && <code>{now.step}</code>}
        {moved(now)}
        <span className="ferrite-subtle">
          {now.eta_s === null ? `for ${duration(run.seconds * 1000)}` : `about ${duration(now.eta_s * 1000)} left`}
          {now.runs_known > 0 && `, by ${now.runs_known} runs of this model`}
        </span>
        {now.position !== null && <Label isCompact>place {now.position} in the queue</Label>}
        {now.is_overdue && (
          <Label isCompact color="orange">
            longer than nine of ten
          </Label>
        )}
      </div>
    </div>
  )
}

function moved({ bytes: done, total_bytes, rate_bytes_per_s }: Now) {
  if (done === null) return null
  return (
    <span>
      {bytes(done)}
      {total_bytes !== null && ` of ${bytes(total_bytes)}`}
      {rate_bytes_per_s !== null && ` at ${rate(rate_bytes_per_s)}`}
    </span>
  )
}
