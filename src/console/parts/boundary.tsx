/** Keeps a page's failure to that page. */
import { Component, type ReactNode } from 'react'
import { FaultAlert } from './fault-alert.tsx'

export class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined }

  static getDerivedStateFromError(error: unknown) {
    return { error }
  }

  override render() {
    const { error } = this.state
    if (error === undefined) return this.props.children
    return (
      <div className="ferrite-boundary">
        <FaultAlert error={error} what="show this page" onRetry={() => location.reload()} />
      </div>
    )
  }
}
