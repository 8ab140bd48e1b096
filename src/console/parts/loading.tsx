/** Stands where something will be in a moment. */
import { Bullseye, Spinner } from '@patternfly/react-core'

export function Loading({ what }: { what: string }) {
  return (
    <Bullseye className="ferrite-loading">
      <Spinner aria-label={`Loading: ${what}`} />
    </Bullseye>
  )
}
