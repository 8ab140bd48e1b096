/** The fleet at a glance: who is in which state for how long, who is late, what failed, and whether the service is well. */
import {
  Alert,
  Card,
  CardBody,
  CardTitle,
  EmptyState,
  EmptyStateBody,
  Flex,
  Grid,
  GridItem,
  PageSection,
  Title,
} from '@patternfly/react-core'
import { Link } from 'react-router'
import { hasFailed, isBusy, isOverdue } from '../expected.ts'
import { type Fleet, useFleet } from '../fleet.ts'
import { FaultAlert } from '../parts/fault-alert.tsx'
import { Loading } from '../parts/loading.tsx'
import { useNow } from '../parts/time.ts'
import { useRuns } from '../runs.ts'
import { Conductors } from './overview/conductors.tsx'
import { Failures } from './overview/failures.tsx'
import { Late } from './overview/late.tsx'
import { PowerBar } from './overview/power-bar.tsx'
import { StateMatrix } from './overview/state-matrix.tsx'
import { UnderWay } from './overview/under-way.tsx'

export default function Overview() {
  const { data: fleet, error, refetch } = useFleet()
  return (
    <PageSection>
      <Flex alignItems={{ default: 'alignItemsBaseline' }} className="ferrite-heading">
        <Title headingLevel="h1">Overview</Title>
        {fleet && !fleet.isComplete && (
          <span className="ferrite-subtle">Reading the fleet … {fleet.nodes.length.toLocaleString()} nodes</span>
        )}
      </Flex>
      {error && <FaultAlert error={error} what="read the fleet" onRetry={() => void refetch()} />}
      {!fleet && !error && <Loading what="the fleet" />}
      {fleet && (fleet.nodes.length === 0 && fleet.isComplete ? <NoNodes /> : <Cards fleet={fleet} />)}
    </PageSection>
  )
}

function Cards({ fleet: { nodes } }: { fleet: Fleet }) {
  const nowMs = useNow(2000)
  const runs = useRuns()
  const late = nodes.filter(node => isOverdue(node, runs.get(node.uuid), nowMs))
  const failed = nodes.filter(hasFailed)
  const busy = nodes.filter(isBusy)
  const maintained = nodes.filter(node => node.maintenance)
  return (
    <>
      <Grid hasGutter span={6} md={4} xl={2} className="ferrite-tiles">
        <Tile label="Nodes" count={nodes.length} to="/nodes" />
        <Tile
          label="Available"
          count={nodes.filter(node => node.provision_state === 'available').length}
          to="/nodes?state=available"
        />
        <Tile label="Under way" count={busy.length} to="/nodes?view=busy" />
        <Tile label="Over their time" count={late.length} to="/nodes?view=overdue" tone="warning" />
        <Tile label="Failed" count={failed.length} to="/nodes?view=failed" tone="danger" />
        <Tile label="In maintenance" count={maintained.length} to="/nodes?view=maintenance" tone="warning" />
      </Grid>
      <Grid hasGutter>
        <GridItem xl={8}>
          <Card isFullHeight>
            <CardTitle component="h2">State and time in it</CardTitle>
            <CardBody>
              <StateMatrix nodes={nodes} late={late} nowMs={nowMs} />
            </CardBody>
          </Card>
        </GridItem>
        <GridItem xl={4}>
          <Card isFullHeight>
            <CardTitle component="h2">Under way</CardTitle>
            <CardBody>
              <UnderWay nodes={busy} nowMs={nowMs} />
            </CardBody>
          </Card>
        </GridItem>
        <GridItem xl={8}>
          <Card isFullHeight>
            <CardTitle component="h2">Recent failures</CardTitle>
            <CardBody>
              <Failures nodes={nodes} nowMs={nowMs} />
            </CardBody>
          </Card>
        </GridItem>
        <GridItem xl={4}>
          <Card>
            <CardTitle component="h2">Over their expected time</CardTitle>
            <CardBody>
              <Late nodes={late} runs={runs} nowMs={nowMs} />
            </CardBody>
          </Card>
        </GridItem>
        <GridItem xl={8}>
          <Card isFullHeight>
            <CardTitle component="h2">Conductors</CardTitle>
            <CardBody>
              <Conductors nodes={nodes} nowMs={nowMs} />
            </CardBody>
          </Card>
        </GridItem>
        <GridItem xl={4}>
          <Card isFullHeight>
            <CardTitle component="h2">Power</CardTitle>
            <CardBody>
              <PowerBar nodes={nodes} />
            </CardBody>
          </Card>
        </GridItem>
      </Grid>
    </>
  )
}

interface TileProps {
  readonly label: string
  readonly count: number
  readonly to: string
  readonly tone?: 'warning' | 'danger'
}

function Tile({ label, count, to, tone }: TileProps) {
  const shown = tone !== undefined && count > 0 ? ` ferrite-${tone}` : ''
  return (
    <Link to={to} className={`ferrite-tile${shown}`}>
      <span className="ferrite-tile-count">{count.toLocaleString()}</span>
      <span className="ferrite-tile-label">{label}</span>
    </Link>
  )
}

function NoNodes() {
  return (
    <EmptyState titleText="No nodes yet" headingLevel="h2">
      <EmptyStateBody>
        <Alert variant="info" isInline isPlain title="Enrol the first machine with the BMC’s address and password:" />
        <pre className="ferrite-code">
          ferrite node create --driver redfish --name rack1-1 \{'\n'} --driver-info redfish_address=https://BMC
          --driver-info redfish_username=… --driver-info redfish_password=…
        </pre>
      </EmptyStateBody>
    </EmptyState>
  )
}
