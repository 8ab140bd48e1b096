/** Stands where an inspection would have something to tell. */
import { EmptyState, EmptyStateBody } from '@patternfly/react-core'

export function NotInspected() {
  return (
    <EmptyState titleText="Not inspected yet" headingLevel="h2">
      <EmptyStateBody>
        Inspect it, and what the machine is made of is shown here. A node can be inspected while it is manageable.
      </EmptyStateBody>
    </EmptyState>
  )
}
