/** Which columns the table has. */
import { Button, MenuToggle, Select, SelectList, SelectOption } from '@patternfly/react-core'
import ColumnsIcon from '@patternfly/react-icons/dist/esm/icons/columns-icon'
import { useState } from 'react'
import { type Column, columns } from './columns.tsx'

interface Props {
  readonly chosen: readonly Column[]
  /** Undefined: the usual ones. */
  readonly onChange: (ids: readonly string[] | undefined) => void
}

export function ColumnMenu({ chosen, onChange }: Props) {
  const [open, setOpen] = useState(false)
  const ids = chosen.map(column => column.id)
  return (
    <Select
      role="menu"
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={(_, value) => {
        const id = String(value)
        onChange(ids.includes(id) ? ids.filter(one => one !== id) : [...ids, id])
      }}
      popperProps={{ position: 'end' }}
      maxMenuHeight="24rem"
      isScrollable
      toggle={ref => (
        <MenuToggle ref={ref} isExpanded={open} onClick={() => setOpen(!open)} icon={<ColumnsIcon />}>
          Columns
        </MenuToggle>
      )}
    >
      <SelectList>
        {columns.map(({ id, label }) => (
          <SelectOption key={id} value={id} hasCheckbox isSelected={ids.includes(id)} isDisabled={id === 'name'}>
            {label}
          </SelectOption>
        ))}
      </SelectList>
      <Button variant="link" className="ferrite-menu-end" onClick={() => onChange(undefined)}>
        The usual ones
      </Button>
    </Select>
  )
}
