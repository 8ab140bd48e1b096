/** Names with their values, in columns; what is missing is a dash. */
import {
  Card,
  CardBody,
  CardTitle,
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
} from '@patternfly/react-core'
import type { ReactNode } from 'react'

export type Fact = readonly [name: string, value: ReactNode]

export function Facts({ facts }: { facts: readonly Fact[] }) {
  return (
    <DescriptionList isHorizontal isCompact termWidth="11rem" className="ferrite-terms">
      {facts.map(([name, value]) => (
        <DescriptionListGroup key={name}>
          <DescriptionListTerm>{name}</DescriptionListTerm>
          <DescriptionListDescription>
            {value === null || value === undefined || value === '' ? <span className="ferrite-subtle">–</span> : value}
          </DescriptionListDescription>
        </DescriptionListGroup>
      ))}
    </DescriptionList>
  )
}

export function FactCard({ title, facts }: { title: string; facts: readonly Fact[] }) {
  return (
    <Card isFullHeight>
      <CardTitle component="h2">{title}</CardTitle>
      <CardBody>
        <Facts facts={facts} />
      </CardBody>
    </Card>
  )
}

/** An object as its author wrote it. */
export function Json({ value }: { value: unknown }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable
    <pre className="ferrite-code" tabIndex={0}>
      {JSON.stringify(value, null, 2)}
    </pre>
  )
}

export const yesNo = (value: boolean | null | undefined) =>
  value === null || value === undefined ? null : value ? 'yes' : 'no'
