/**
 * The keys that work on every page: `/` goes to the search, `g` and a letter to a page, `?` shows them all. Nothing is
 * taken from somebody who types into a field.
 */
import {
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
  Modal,
  ModalBody,
  ModalHeader,
} from '@patternfly/react-core'
import { useEffect } from 'react'
import { useNavigate } from 'react-router'
import { pages } from './pages.ts'

/** How long a letter after `g` counts as its second half. */
const secondHalfMs = 1500

export function useKeys(onHelp: () => void): void {
  const navigate = useNavigate()
  useEffect(() => {
    let goneAt = Number.NEGATIVE_INFINITY
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return
      const { key, timeStamp } = event
      const page = timeStamp - goneAt < secondHalfMs ? pages.find(one => one.nav?.key === key) : undefined
      goneAt = key === 'g' ? timeStamp : Number.NEGATIVE_INFINITY
      if (page) void navigate(page.path)
      else if (key === '/') focusSearch()
      else if (key === '?') onHelp()
      else return
      event.preventDefault()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [navigate, onHelp])
}

export function KeysHelp({ onClose }: { onClose: () => void }) {
  const rows: [keys: string[], does: string][] = [
    [['/'], 'Search'],
    [['?'], 'Show these keys'],
    ...pages.flatMap(({ nav }): [string[], string][] => (nav?.key ? [[['g', nav.key], nav.label]] : [])),
    [['Esc'], 'Close what is open'],
  ]
  return (
    <Modal isOpen onClose={onClose} variant="small" aria-labelledby="keys-title">
      <ModalHeader title="Keyboard shortcuts" labelId="keys-title" />
      <ModalBody>
        <DescriptionList isHorizontal isCompact termWidth="6rem">
          {rows.map(([keys, does]) => (
            <DescriptionListGroup key={does}>
              <DescriptionListTerm>
                {keys.map(key => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </DescriptionListTerm>
              <DescriptionListDescription>{does}</DescriptionListDescription>
            </DescriptionListGroup>
          ))}
        </DescriptionList>
      </ModalBody>
    </Modal>
  )
}

/** The page's own search before that of the masthead. */
function focusSearch(): void {
  const within = [...document.querySelectorAll<HTMLElement>('[data-search]')].at(-1)
  const field = within instanceof HTMLInputElement ? within : within?.querySelector('input')
  field?.focus()
  field?.select()
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || target.closest('input, textarea, select, .xterm') !== null
}
