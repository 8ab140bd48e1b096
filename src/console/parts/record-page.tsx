/** A list of records that can be made, changed and deleted as JSON: what its pages have in common. */
import { Button, Flex, ToolbarItem } from '@patternfly/react-core'
import PlusIcon from '@patternfly/react-icons/dist/esm/icons/plus-icon'
import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { all, get, part } from '../api.ts'
import { Json } from './facts.tsx'
import { FaultAlert } from './fault-alert.tsx'
import { type ListColumn, ListPage } from './list-page.tsx'
import { Loading } from './loading.tsx'
import { DeleteRecord, EditRecord } from './record-dialogs.tsx'

interface Record_ {
  readonly uuid: string
  readonly name?: string | null
}

interface Props<T> {
  readonly title: string
  readonly about: ReactNode
  readonly noun: string
  readonly path: string
  /** Of the list in the answer. */
  readonly listName: string
  readonly columns: readonly ListColumn<T>[]
  /** What the form of a new one begins with. */
  readonly template: object
  readonly hint: string
  readonly empty: ReactNode
  /** Entries of a record that may be changed; none: it cannot be. */
  readonly editable: readonly string[]
  /** The list's short form does not have everything; false: it has. */
  readonly hasDetail?: boolean
}

type Open = { readonly kind: 'new' } | { readonly kind: 'edit' | 'delete'; readonly ident: string }

export function RecordPage<T extends Record_>(props: Props<T>) {
  const { title, about, noun, path, listName, columns, template, hint, empty, editable, hasDetail = true } = props
  const [open, setOpen] = useState<Open>()
  const queryKey = [listName]
  const query = useQuery({
    queryKey,
    queryFn: ({ signal }) => all<T>(path, listName, { query: hasDetail ? { detail: true } : {}, signal }),
    refetchInterval: 30_000,
  })
  const kind = { noun, path, queryKey }
  const close = () => setOpen(undefined)
  return (
    <>
      <ListPage
        title={title}
        about={about}
        what={`list the ${title.toLowerCase()}`}
        query={query}
        columns={columns}
        keyOf={({ uuid }) => uuid}
        empty={empty}
        details={item => <Json value={item} />}
        actions={
          <ToolbarItem>
            <Button icon={<PlusIcon />} onClick={() => setOpen({ kind: 'new' })}>
              New {noun}
            </Button>
          </ToolbarItem>
        }
        rowActions={({ uuid, name }) => (
          <Flex flexWrap={{ default: 'nowrap' }} gap={{ default: 'gapMd' }}>
            {editable.length > 0 && (
              <Button
                variant="link"
                isInline
                aria-label={`Change ${name ?? uuid}`}
                onClick={() => setOpen({ kind: 'edit', ident: uuid })}
              >
                Change
              </Button>
            )}
            <Button
              variant="link"
              isInline
              isDanger
              aria-label={`Delete ${name ?? uuid}`}
              onClick={() => setOpen({ kind: 'delete', ident: uuid })}
            >
              Delete
            </Button>
          </Flex>
        )}
      />
      {open?.kind === 'new' && <EditRecord {...kind} start={template} hint={hint} onClose={close} />}
      {open?.kind === 'edit' && (
        <Existing {...kind} ident={open.ident} editable={editable} hint={hint} onClose={close} />
      )}
      {open?.kind === 'delete' && <DeleteRecord {...kind} ident={open.ident} onClose={close} />}
    </>
  )
}

interface ExistingProps {
  readonly noun: string
  readonly path: string
  readonly queryKey: readonly string[]
  readonly ident: string
  readonly editable: readonly string[]
  readonly hint: string
  readonly onClose: () => void
}

/** The form begins with the record as it is now, not as the list had it. */
function Existing({ ident, editable, ...rest }: ExistingProps) {
  const { data, error } = useQuery({
    queryKey: [rest.path, ident],
    queryFn: ({ signal }) => get<Record<string, unknown>>(`${rest.path}/${part(ident)}`, { signal }),
    staleTime: 0,
    gcTime: 0,
  })
  if (error) return <FaultAlert error={error} what={`read the ${rest.noun}`} />
  if (!data) return <Loading what={rest.noun} />
  const start = Object.fromEntries(Object.entries(data).filter(([name]) => editable.includes(name)))
  return <EditRecord {...rest} ident={ident} start={start} />
}
