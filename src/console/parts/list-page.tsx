/**
 * A page with one list in a table: a search over what the columns say, sorting, details below a row, and what may be done
 * to the whole and to each. What is listed, and what its columns are, the page says.
 */
import {
  Button,
  EmptyState,
  EmptyStateBody,
  PageSection,
  SearchInput,
  Title,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
} from '@patternfly/react-core'
import { ExpandableRowContent, Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { type ReactNode, useState } from 'react'
import { FaultAlert } from './fault-alert.tsx'
import { Loading } from './loading.tsx'

export interface ListColumn<T> {
  readonly label: string
  /** What the column is sorted and searched by. */
  text(item: T): string | number
  /** What it shows, where that is more than the text. */
  shown?(item: T): ReactNode
  /** In percent of the table; without it, as much as its content takes. */
  readonly width?: 10 | 15 | 20 | 25 | 30 | 40 | 50
  /** What it shows is one word. */
  readonly isWord?: true
}

interface Props<T> {
  readonly title: string
  /** What this is, in a sentence or two. */
  readonly about: ReactNode
  /** "list the runbooks". */
  readonly what: string
  /** As react-query has it, or put together of such. */
  readonly query: { readonly data: readonly T[] | undefined; readonly error: unknown; refetch(): unknown }
  readonly columns: readonly ListColumn<T>[]
  readonly keyOf: (item: T) => string
  /** Where there is nothing: how it comes to be. */
  readonly empty: ReactNode
  readonly details?: (item: T) => ReactNode
  /** Buttons beside the search. */
  readonly actions?: ReactNode
  /** Above the table. */
  readonly above?: ReactNode
  /** Buttons of a row. */
  readonly rowActions?: (item: T) => ReactNode
}

interface Sorting {
  readonly index: number
  readonly direction: 'asc' | 'desc'
}

export function ListPage<T>({ title, about, what, query, actions, above, ...rest }: Props<T>) {
  const { data, error, refetch } = query
  const [search, setSearch] = useState('')
  return (
    <PageSection isFilled>
      <div className="ferrite-heading">
        <Title headingLevel="h1">{title}</Title>
        <p className="ferrite-subtle">{about}</p>
      </div>
      {above}
      <Toolbar inset={{ default: 'insetNone' }}>
        <ToolbarContent>
          <ToolbarItem className="ferrite-table-search">
            <SearchInput
              aria-label="Search in the table"
              placeholder="Search …"
              data-search
              value={search}
              onChange={(_, value) => setSearch(value)}
              onClear={() => setSearch('')}
            />
          </ToolbarItem>
          {actions && (
            <ToolbarGroup align={{ default: 'alignEnd' }} gap={{ default: 'gapSm' }}>
              {actions}
            </ToolbarGroup>
          )}
        </ToolbarContent>
      </Toolbar>
      {error != null && <FaultAlert error={error} what={what} onRetry={() => void refetch()} />}
      {!data && error == null && <Loading what={title} />}
      {data && <Listed {...rest} title={title} items={data} search={search} onForget={() => setSearch('')} />}
    </PageSection>
  )
}

type ListedProps<T> = Pick<Props<T>, 'title' | 'columns' | 'keyOf' | 'empty' | 'details' | 'rowActions'> & {
  readonly items: readonly T[]
  readonly search: string
  readonly onForget: () => void
}

function Listed<T>({ title, items, columns, keyOf, empty, details, rowActions, search, onForget }: ListedProps<T>) {
  const [sorting, setSorting] = useState<Sorting>()
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  const words = search.trim().toLowerCase()
  const fitting = items.filter(item => columns.some(({ text }) => String(text(item)).toLowerCase().includes(words)))
  const shown = sorting ? sorted(fitting, columns, sorting) : fitting
  if (shown.length === 0) {
    return (
      <EmptyState titleText={items.length === 0 ? 'Nothing here yet' : 'Nothing fits'} headingLevel="h2">
        <EmptyStateBody>
          {items.length === 0 ? (
            empty
          ) : (
            <Button variant="link" isInline onClick={onForget}>
              Take the search away
            </Button>
          )}
        </EmptyStateBody>
      </EmptyState>
    )
  }
  const toggle = (key: string) =>
    setOpen(now => {
      const next = new Set(now)
      if (!next.delete(key)) next.add(key)
      return next
    })
  const width = columns.length + (details ? 1 : 0) + (rowActions ? 1 : 0)
  return (
    <div className="ferrite-scroll-x">
      <Table variant="compact" aria-label={title} isExpandable={details !== undefined}>
        <Thead>
          <Tr>
            {details && <Th screenReaderText="Details" />}
            {columns.map(({ label, width }, index) => (
              <Th
                key={label}
                modifier="nowrap"
                {...(width ? { width } : {})}
                sort={{
                  columnIndex: index,
                  sortBy: sorting ? { index: sorting.index, direction: sorting.direction } : {},
                  onSort: (_, by, direction) => setSorting({ index: by, direction }),
                }}
              >
                {label}
              </Th>
            ))}
            {rowActions && <Th screenReaderText="Actions" />}
          </Tr>
        </Thead>
        {shown.map((item, rowIndex) => {
          const key = keyOf(item)
          const isExpanded = open.has(key)
          return (
            <Tbody key={key} isExpanded={isExpanded}>
              <Tr>
                {details && (
                  <Td expand={{ rowIndex, isExpanded, onToggle: () => toggle(key), expandId: `details-${rowIndex}` }} />
                )}
                {columns.map(({ label, text, isWord, shown: show }) => (
                  <Td key={label} dataLabel={label} modifier={isWord ? 'nowrap' : 'breakWord'}>
                    {show ? show(item) : text(item) === '' ? <span className="ferrite-subtle">–</span> : text(item)}
                  </Td>
                ))}
                {rowActions && <Td isActionCell>{rowActions(item)}</Td>}
              </Tr>
              {details && isExpanded && (
                <Tr isExpanded>
                  <Td colSpan={width}>
                    <ExpandableRowContent>{details(item)}</ExpandableRowContent>
                  </Td>
                </Tr>
              )}
            </Tbody>
          )
        })}
      </Table>
    </div>
  )
}

function sorted<T>(items: readonly T[], columns: readonly ListColumn<T>[], { index, direction }: Sorting): T[] {
  const column = columns[index]
  if (!column) return [...items]
  const sign = direction === 'asc' ? 1 : -1
  return [...items].sort((a, b) => sign * compared(column.text(a), column.text(b)))
}

function compared(a: string | number, b: string | number): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b))
}
