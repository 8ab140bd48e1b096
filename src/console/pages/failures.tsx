/** Every node that failed or is in maintenance for a fault, by its cause, with what was seen and what to do. */
import {
  Alert,
  Card,
  CardBody,
  CardTitle,
  EmptyState,
  EmptyStateBody,
  List,
  ListItem,
  OrderType,
  PageSection,
  Stack,
  Title,
} from '@patternfly/react-core'
import CheckCircleIcon from '@patternfly/react-icons/dist/esm/icons/check-circle-icon'
import { useQueries } from '@tanstack/react-query'
import { Link } from 'react-router'
import type { Explanation } from '#protocol/why.ts'
import { get, part } from '../api.ts'
import { hasFailed } from '../expected.ts'
import { type FleetNode, useFleet } from '../fleet.ts'
import { FaultAlert } from '../parts/fault-alert.tsx'
import { Loading } from '../parts/loading.tsx'
import { StateLabel } from '../parts/state-label.tsx'

/** Each is a question to its BMC, too. */
const mostAsked = 40

export default function Failures() {
  const { data: fleet, error, refetch } = useFleet()
  const failed = (fleet?.nodes ?? []).filter(node => hasFailed(node) || node.fault !== null || node.last_error !== null)
  const asked = failed.slice(0, mostAsked)
  const found = useQueries({
    queries: asked.map(({ uuid, provision_state }) => ({
      queryKey: ['node', uuid, 'why', provision_state],
      queryFn: ({ signal }: { signal: AbortSignal }) => get<Explanation>(`/v1/nodes/${part(uuid)}/why`, { signal }),
      staleTime: 60_000,
    })),
  })
  const told = asked.map((node, index) => ({ node, why: found[index]?.data, error: found[index]?.error }))
  const groups = [...Map.groupBy(told, ({ why, error: refused }) => why?.cause ?? (refused ? 'not told' : 'asking …'))]
  return (
    <PageSection isFilled>
      <div className="ferrite-heading">
        <Title headingLevel="h1">Failures</Title>
        <p className="ferrite-subtle">
          Nodes that failed, by the first thing that is not as it should be: what was seen that says so, and what to do.
        </p>
      </div>
      {error && <FaultAlert error={error} what="read the fleet" onRetry={() => void refetch()} />}
      {!fleet && !error && <Loading what="the fleet" />}
      {fleet?.isComplete && failed.length === 0 && (
        <EmptyState titleText="Nothing has failed" headingLevel="h2" icon={CheckCircleIcon} status="success">
          <EmptyStateBody>A node that fails is explained here.</EmptyStateBody>
        </EmptyState>
      )}
      {failed.length > mostAsked && (
        <Alert
          variant="info"
          isInline
          title={`The first ${mostAsked} of ${failed.length.toLocaleString()} are explained`}
        >
          <Link to="/nodes?view=failed">The table of nodes has all of them</Link>
        </Alert>
      )}
      <Stack hasGutter>
        {groups
          .sort(([, a], [, b]) => b.length - a.length)
          .map(([cause, nodes]) => (
            <Card key={cause}>
              <CardTitle component="h2">
                {cause} <span className="ferrite-subtle">({nodes.length})</span>
              </CardTitle>
              <CardBody>
                {nodes.map(({ node, why, error: refused }) => (
                  <Failure key={node.uuid} node={node} why={why} error={refused} />
                ))}
              </CardBody>
            </Card>
          ))}
      </Stack>
    </PageSection>
  )
}

function Failure({ node, why, error }: { node: FleetNode; why: Explanation | undefined; error: unknown }) {
  return (
    <section className="ferrite-run">
      <h3>
        <Link to={`/nodes/${node.uuid}`}>{node.name ?? node.uuid}</Link> <StateLabel state={node.provision_state} />
      </h3>
      {error ? <FaultAlert error={error} what={`explain ${node.name ?? node.uuid}`} /> : null}
      <p>{why?.summary ?? node.last_error ?? node.fault}</p>
      {why && why.actions.length > 0 && (
        <>
          <h4>What to do</h4>
          <List component="ol" type={OrderType.number}>
            {why.actions.map(action => (
              <ListItem key={action}>{action}</ListItem>
            ))}
          </List>
        </>
      )}
      {why && why.evidence.length > 0 && (
        <details>
          <summary>What was seen</summary>
          <List isPlain>
            {why.evidence.map(line => (
              <ListItem key={line}>{line}</ListItem>
            ))}
          </List>
        </details>
      )}
    </section>
  )
}
