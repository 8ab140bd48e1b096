/** What went wrong, in the service's own words, and what to do about it. */
import { Alert, AlertActionLink } from '@patternfly/react-core'
import { ApiFault } from '../api.ts'

interface Props {
  readonly error: unknown
  /** What was attempted: "deploy rack1-node3". */
  readonly what: string
  readonly onRetry?: (() => void) | undefined
}

export function FaultAlert({ error, what, onRetry }: Props) {
  const move = nextMove(error)
  return (
    <Alert
      variant="danger"
      isInline
      title={`Could not ${what}`}
      actionLinks={onRetry && <AlertActionLink onClick={onRetry}>Try again</AlertActionLink>}
    >
      <p>{messageOf(error)}</p>
      {move !== undefined && <p>{move}</p>}
      {error instanceof ApiFault && error.requestId !== null && error.status >= 500 && (
        <p>
          The service’s log tells more under <code>{error.requestId}</code>.
        </p>
      )}
    </Alert>
  )
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What helps, by the status of the answer; undefined where the message says it all. */
export function nextMove(error: unknown): string | undefined {
  if (!(error instanceof ApiFault)) return undefined
  switch (error.status) {
    case 0:
      return 'Next: check that the service runs and that this browser reaches it.'
    case 401:
      return 'Next: sign in again.'
    case 403:
      return 'Next: sign in as somebody whose role may do it; docs/authentication.md lists who may do what.'
    case 404:
      return 'Next: go back to the list; it may have been removed, or belong to another project.'
    case 409:
      return 'Next: wait until the work that holds it has ended, then try again.'
    case 503:
      return 'Next: try again in a moment.'
    default:
      return undefined
  }
}
