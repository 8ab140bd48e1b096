/** How far the deployments are that were begun here: what was refused, what is under way, and how each ended. */
import { Alert, Progress as Bar } from '@patternfly/react-core'
import { Link } from 'react-router'
import { part } from '../../api.ts'
import { hasFailed, isBusy } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'
import { messageOf, nextMove } from '../../parts/fault-alert.tsx'
import { StateLabel } from '../../parts/state-label.tsx'
import { useNow } from '../../parts/time.ts'
import { Work } from '../../parts/work.tsx'

/** What came of asking for a deployment. */
export type Asking =
  | { readonly kind: 'waiting' }
  /** `since`: when the node had last moved before. */
  | { readonly kind: 'accepted'; readonly since: string | null }
  | { readonly kind: 'refused'; readonly error: unknown }
export type Askings = ReadonlyMap<string, Asking>

/** How many are looked at closely: each is asked for how far it is. */
const mostClose = 20

interface Props {
  /** As they are now. */
  readonly nodes: readonly FleetNode[]
  readonly askings: Askings
}

export function Progress({ nodes, askings }: Props) {
  const nowMs = useNow()
  const of = (kind: Asking['kind']) => nodes.filter(({ uuid }) => askings.get(uuid)?.kind === kind)
  const [waiting, accepted, refused] = [of('waiting'), of('accepted'), of('refused')]
  const busy = accepted.filter(node => isBusy(node) || !hasMoved(node, askings.get(node.uuid)))
  const failed = accepted.filter(node => !busy.includes(node) && hasFailed(node))
  const done = accepted.filter(node => !busy.includes(node) && !failed.includes(node))
  const ended = refused.length + failed.length + done.length
  return (
    <>
      <Bar
        title={`${done.length} of ${nodes.length} are deployed`}
        value={(ended / Math.max(1, nodes.length)) * 100}
        variant={refused.length + failed.length > 0 ? 'danger' : ended === nodes.length ? 'success' : undefined}
        valueText={`${ended} of ${nodes.length} have ended`}
      />
      <p role="status" className="ferrite-subtle">
        {[
          waiting.length > 0 && `${waiting.length} to be asked for`,
          busy.length > 0 && `${busy.length} under way`,
          done.length > 0 && `${done.length} done`,
          failed.length > 0 && `${failed.length} failed`,
          refused.length > 0 && `${refused.length} refused`,
        ]
          .filter(Boolean)
          .join(', ')}
      </p>
      {refused.map(({ uuid, name }) => (
        <Refused key={uuid} name={name ?? uuid} asking={askings.get(uuid)} />
      ))}
      <ul className="ferrite-list">
        {failed.map(node => (
          <li key={node.uuid}>
            <Ended node={node} />
            <div className="ferrite-small">{node.last_error}</div>
            <Link to={`/nodes/${part(node.uuid)}/why`}>Why {node.name ?? node.uuid} failed, and what to do</Link>
          </li>
        ))}
        {busy.slice(0, mostClose).map(node => (
          <Work key={node.uuid} node={node} nowMs={nowMs} />
        ))}
        {done.slice(0, mostClose).map(node => (
          <li key={node.uuid}>
            <Ended node={node} />
          </li>
        ))}
      </ul>
      <Link to="/nodes?view=busy">All that is under way</Link>
    </>
  )
}

/** What is shown of the fleet may be a moment old. */
function hasMoved({ provision_updated_at }: FleetNode, asking: Asking | undefined): boolean {
  return asking?.kind === 'accepted' && asking.since !== provision_updated_at
}

function Refused({ name, asking }: { name: string; asking: Asking | undefined }) {
  if (asking?.kind !== 'refused') return null
  return (
    <Alert variant="danger" component="h2" isInline title={`Could not deploy ${name}`}>
      {messageOf(asking.error)} {nextMove(asking.error)}
    </Alert>
  )
}

function Ended({ node }: { node: FleetNode }) {
  return (
    <div className="ferrite-between">
      <Link to={`/nodes/${part(node.uuid)}`}>{node.name ?? node.uuid}</Link>
      <StateLabel state={node.provision_state} />
    </div>
  )
}
