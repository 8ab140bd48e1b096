/** Who uses the console, with which rights, and how others come in: as far as the service's authentication knows it. */
import { Alert, Button, Grid, GridItem, PageSection, Title } from '@patternfly/react-core'
import { useQueries } from '@tanstack/react-query'
import { ApiFault, get } from '../api.ts'
import { FactCard } from '../parts/facts.tsx'
import { type Session, signOut, useSession } from '../session.ts'

const ways: Readonly<Record<Session['strategy'], string>> = {
  noauth: 'Nobody is asked who they are: everybody who reaches the port may do everything.',
  http_basic:
    'Users are lines of the file [DEFAULT] http_basic_auth_user_file, passwords as bcrypt hashes. A line that is added or taken away counts at once; each of them may do everything.',
  keystone:
    'Users, projects and roles are Keystone’s. What each role may do is in docs/authentication.md, and in the operator’s file of policies.',
}

/** Questions that only some may ask, by what they stand for. */
const rights: readonly (readonly [label: string, path: string])[] = [
  ['See the nodes', '/v1/nodes?limit=1'],
  ['See what happens', '/v1/events?latest=1'],
  ['See who holds which node', '/v1/leases'],
  ['See conductors', '/v1/conductors?limit=1'],
  ['See allocations', '/v1/allocations?limit=1'],
  ['See runbooks', '/v1/runbooks?limit=1'],
  ['See settings', '/v1/settings'],
]

export default function Account() {
  const state = useSession()
  const answers = useQueries({
    queries: rights.map(([label, path]) => ({
      queryKey: ['right', label],
      queryFn: async ({ signal }: { signal: AbortSignal }) => {
        try {
          await get(path, { signal })
          return 'yes'
        } catch (error) {
          if (error instanceof ApiFault && error.status === 403) return 'no'
          throw error
        }
      },
      staleTime: 60_000,
    })),
  })
  if (state.kind !== 'in') return null
  const { session } = state
  return (
    <PageSection isFilled>
      <div className="ferrite-heading">
        <Title headingLevel="h1">Users and sessions</Title>
        <p className="ferrite-subtle">{ways[session.strategy]}</p>
      </div>
      {session.strategy === 'noauth' && (
        <Alert
          variant="warning"
          component="h2"
          isInline
          title="Open access: set [DEFAULT] auth_strategy to http_basic or keystone before others reach this port"
        />
      )}
      <Grid hasGutter md={6} className="ferrite-gap-above">
        <GridItem>
          <FactCard
            title="This session"
            facts={[
              ['User', session.user ?? 'nobody in particular'],
              ['Acts on', session.scope ?? 'everything'],
              ['Roles', session.roles.join(', ') || null],
              ['Kept in', session.strategy === 'noauth' ? 'nothing is kept' : 'this tab, until it is closed'],
            ]}
          />
        </GridItem>
        <GridItem>
          <FactCard
            title="What it may do"
            facts={rights.map(([label], index) => [
              label,
              answers[index]?.data ?? (answers[index]?.error ? 'could not be asked' : '…'),
            ])}
          />
        </GridItem>
      </Grid>
      {session.strategy !== 'noauth' && (
        <Button variant="secondary" className="ferrite-gap-above" onClick={signOut}>
          Sign out
        </Button>
      )}
      <p className="ferrite-gap-above ferrite-subtle">
        The service keeps no sessions: each request brings its own proof. Tokens end where they were made, in Keystone;
        passwords end when their line leaves the file.
      </p>
    </PageSection>
  )
}
