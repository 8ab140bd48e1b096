/** Why the node is where it is: what is so, what says so, and what to do. */
import { Alert, Card, CardBody, CardTitle, Grid, GridItem } from '@patternfly/react-core'
import { useQuery } from '@tanstack/react-query'
import type { Explanation } from '#protocol/why.ts'
import { get, part } from '../../api.ts'
import { Asked } from '../../parts/asked.tsx'
import type { TabProps } from '../node.tsx'

const variants = { fine: 'success', waiting: 'info', failed: 'danger' } as const

export default function Why({ node }: TabProps) {
  const query = useQuery({
    queryKey: ['node', node.uuid, 'why'],
    queryFn: ({ signal }) => get<Explanation>(`/v1/nodes/${part(node.uuid)}/why`, { signal }),
    refetchInterval: 10_000,
  })
  return (
    <Asked query={query} what="explain the node">
      {({ verdict, cause, summary, evidence, actions }) => (
        <>
          <Alert isInline variant={variants[verdict]} title={summary}>
            <p>
              Cause: <code>{cause}</code>
            </p>
          </Alert>
          <Grid hasGutter lg={6} className="ferrite-gap-above">
            <GridItem>
              <Lines title="What to do" lines={actions} none="Nothing needs to be done." isOrdered />
            </GridItem>
            <GridItem>
              <Lines title="What was seen" lines={evidence} none="Nothing in particular." />
            </GridItem>
          </Grid>
        </>
      )}
    </Asked>
  )
}

interface LinesProps {
  readonly title: string
  readonly lines: readonly string[]
  readonly none: string
  readonly isOrdered?: true
}

function Lines({ title, lines, none, isOrdered }: LinesProps) {
  const List = isOrdered ? 'ol' : 'ul'
  return (
    <Card isFullHeight>
      <CardTitle component="h2">{title}</CardTitle>
      <CardBody>
        {lines.length === 0 ? (
          <p className="ferrite-subtle">{none}</p>
        ) : (
          <List className="ferrite-lines">
            {lines.map(line => (
              <li key={line}>{line}</li>
            ))}
          </List>
        )}
      </CardBody>
    </Card>
  )
}
