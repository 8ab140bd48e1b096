/** The fleet at a glance. */
import { PageSection, Title } from '@patternfly/react-core'

export default function Overview() {
  return (
    <PageSection>
      <Title headingLevel="h1">Overview</Title>
    </PageSection>
  )
}
