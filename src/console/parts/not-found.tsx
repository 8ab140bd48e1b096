/** A path that no page has. */
import {
  Button,
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  PageSection,
} from '@patternfly/react-core'
import { useNavigate } from 'react-router'
import { useTitle } from './title.ts'

export function NotFound() {
  useTitle('Not found')
  const navigate = useNavigate()
  return (
    <PageSection>
      <EmptyState titleText="There is no such page" headingLevel="h1">
        <EmptyStateBody>The link is wrong, or leads to a page of another version of the console.</EmptyStateBody>
        <EmptyStateFooter>
          <EmptyStateActions>
            <Button onClick={() => void navigate('/')}>Go to the overview</Button>
          </EmptyStateActions>
        </EmptyStateFooter>
      </EmptyState>
    </PageSection>
  )
}
