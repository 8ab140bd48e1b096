/** Filters with names: choose one, keep the present one, forget one. They are kept in this browser. */
import {
  Button,
  Dropdown,
  DropdownGroup,
  DropdownItem,
  DropdownList,
  Form,
  FormGroup,
  MenuToggle,
  Modal,
  ModalBody,
  ModalFooter,
  ModalHeader,
  TextInput,
} from '@patternfly/react-core'
import FilterIcon from '@patternfly/react-icons/dist/esm/icons/filter-icon'
import { useState } from 'react'
import { type SavedFilter, savedFilters, saveFilters } from './filters.ts'

interface Props {
  /** Of the present address. */
  readonly query: string
  readonly onChoose: (query: string) => void
}

export function SavedFilters({ query, onChoose }: Props) {
  const [open, setOpen] = useState(false)
  const [naming, setNaming] = useState(false)
  const [saved, setSaved] = useState(savedFilters)
  const keep = (filters: readonly SavedFilter[]) => {
    saveFilters(filters)
    setSaved(filters)
  }
  const present = saved.find(filter => filter.query === query)
  return (
    <>
      <Dropdown
        isOpen={open}
        onOpenChange={setOpen}
        onSelect={() => setOpen(false)}
        popperProps={{ position: 'end' }}
        toggle={ref => (
          <MenuToggle ref={ref} isExpanded={open} onClick={() => setOpen(!open)} icon={<FilterIcon />}>
            {present?.name ?? 'Saved filters'}
          </MenuToggle>
        )}
      >
        {saved.length > 0 && (
          <DropdownGroup label="Show">
            <DropdownList>
              {saved.map(filter => (
                <DropdownItem key={filter.name} onClick={() => onChoose(filter.query)}>
                  {filter.name}
                </DropdownItem>
              ))}
            </DropdownList>
          </DropdownGroup>
        )}
        <DropdownGroup label="Present filter">
          <DropdownList>
            <DropdownItem isDisabled={query === ''} onClick={() => setNaming(true)}>
              Save with a name …
            </DropdownItem>
            {present && (
              <DropdownItem isDanger onClick={() => keep(saved.filter(one => one !== present))}>
                Forget “{present.name}”
              </DropdownItem>
            )}
          </DropdownList>
        </DropdownGroup>
      </Dropdown>
      {naming && (
        <NameDialog
          onClose={() => setNaming(false)}
          onName={name => {
            keep([...saved.filter(one => one.name !== name), { name, query }])
            setNaming(false)
          }}
        />
      )}
    </>
  )
}

function NameDialog({ onClose, onName }: { onClose: () => void; onName: (name: string) => void }) {
  const [name, setName] = useState('')
  return (
    <Modal isOpen onClose={onClose} variant="small" aria-labelledby="filter-title">
      <ModalHeader title="Save this filter" labelId="filter-title" />
      <ModalBody>
        <Form
          id="filter-form"
          onSubmit={event => {
            event.preventDefault()
            if (name.trim() !== '') onName(name.trim())
          }}
        >
          <FormGroup label="Name" fieldId="filter-name" isRequired>
            <TextInput id="filter-name" value={name} onChange={(_, value) => setName(value)} isRequired autoFocus />
          </FormGroup>
        </Form>
      </ModalBody>
      <ModalFooter>
        <Button type="submit" form="filter-form" isDisabled={name.trim() === ''}>
          Save
        </Button>
        <Button variant="link" onClick={onClose}>
          Cancel
        </Button>
      </ModalFooter>
    </Modal>
  )
}
