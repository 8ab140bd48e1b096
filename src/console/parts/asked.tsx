/** What a question came to: the answer, shown; a fault, told; or that it is being asked. */
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { FaultAlert } from './fault-alert.tsx'
import { Loading } from './loading.tsx'

interface Props<T> {
  readonly query: UseQueryResult<T>
  /** "list the ports". */
  readonly what: string
  readonly children: (data: T) => ReactNode
}

export function Asked<T>({ query: { data, error, refetch }, what, children }: Props<T>) {
  if (data !== undefined) return children(data)
  if (error) return <FaultAlert error={error} what={what} onRetry={() => void refetch()} />
  return <Loading what={what} />
}
