/** The filters in force, each with a way to take it away, and menus to add to them. */
import {
  Badge,
  Label,
  LabelGroup,
  MenuToggle,
  Select,
  SelectGroup,
  SelectList,
  SelectOption,
  ToolbarGroup,
  ToolbarItem,
} from '@patternfly/react-core'
import { useState } from 'react'
import { provisionStates } from '#protocol/states.ts'
import { ages } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'
import { type Equal, equals, type Filters, type View, views } from './filters.ts'

interface Props {
  readonly filters: Filters
  readonly nodes: readonly FleetNode[]
  readonly onChange: (name: string, value: string | undefined) => void
}

export function FilterBar({ filters, nodes, onChange }: Props) {
  const { states, age, view, equal } = filters
  const set = (values: readonly string[]) => onChange('state', values.join(','))
  return (
    <>
      <ToolbarGroup gap={{ default: 'gapSm' }}>
        <ToolbarItem>
          <StateMenu filters={filters} nodes={nodes} onChange={onChange} />
        </ToolbarItem>
        <ToolbarItem>
          <ValueMenu filters={filters} nodes={nodes} onChange={onChange} />
        </ToolbarItem>
      </ToolbarGroup>
      {(states.length > 0 || age || view || equal.length > 0) && (
        <ToolbarItem>
          <LabelGroup aria-label="Filters" numLabels={8}>
            {view && (
              <Label key="view" onClose={() => onChange('view', undefined)}>
                {views[view].label}
              </Label>
            )}
            {states.map(state => (
              <Label key={state} onClose={() => set(states.filter(one => one !== state))}>
                {state}
              </Label>
            ))}
            {age && (
              <Label key="age" onClose={() => onChange('age', undefined)}>
                {ages.find(one => one.id === age)?.label}
              </Label>
            )}
            {equal.map(([name, value]) => (
              <Label key={name} onClose={() => onChange(name, undefined)}>
                {equals[name].label}: {value}
              </Label>
            ))}
          </LabelGroup>
        </ToolbarItem>
      )}
    </>
  )
}

function StateMenu({ filters: { states, view }, nodes, onChange }: Props) {
  const [open, setOpen] = useState(false)
  const counts = new Map<string, number>()
  if (open) for (const node of nodes) counts.set(node.provision_state, (counts.get(node.provision_state) ?? 0) + 1)
  const chosen: readonly string[] = states
  return (
    <Select
      role="menu"
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={(_, value) => {
        const text = String(value)
        if (Object.hasOwn(views, text)) onChange('view', text === view ? undefined : text)
        else
          onChange('state', (chosen.includes(text) ? chosen.filter(one => one !== text) : [...chosen, text]).join(','))
      }}
      isScrollable
      maxMenuHeight="24rem"
      toggle={ref => (
        <MenuToggle
          ref={ref}
          isExpanded={open}
          onClick={() => setOpen(!open)}
          badge={states.length > 0 ? <Badge isRead>{states.length}</Badge> : undefined}
        >
          State
        </MenuToggle>
      )}
    >
      <SelectGroup label="All that are">
        <SelectList>
          {(Object.keys(views) as View[]).map(name => (
            <SelectOption key={name} value={name} isSelected={view === name}>
              {views[name].label}
            </SelectOption>
          ))}
        </SelectList>
      </SelectGroup>
      <SelectGroup label="In state">
        <SelectList>
          {provisionStates
            .filter(state => counts.has(state) || chosen.includes(state))
            .map(state => (
              <SelectOption key={state} value={state} hasCheckbox isSelected={chosen.includes(state)}>
                {state} <Badge isRead>{(counts.get(state) ?? 0).toLocaleString()}</Badge>
              </SelectOption>
            ))}
        </SelectList>
      </SelectGroup>
    </Select>
  )
}

/** A field has too many values for a menu past this. */
const mostValues = 12

function ValueMenu({ filters: { equal }, nodes, onChange }: Props) {
  const [open, setOpen] = useState(false)
  return (
    <Select
      role="menu"
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={(_, value) => {
        const [name = '', ...rest] = String(value).split(' ')
        const text = rest.join(' ')
        const isChosen = equal.some(([field, now]) => field === name && now === text)
        onChange(name, isChosen ? undefined : text)
      }}
      isScrollable
      maxMenuHeight="24rem"
      toggle={ref => (
        <MenuToggle
          ref={ref}
          isExpanded={open}
          onClick={() => setOpen(!open)}
          badge={equal.length > 0 ? <Badge isRead>{equal.length}</Badge> : undefined}
        >
          More filters
        </MenuToggle>
      )}
    >
      {open &&
        (Object.keys(equals) as Equal[]).map(name => (
          <SelectGroup key={name} label={equals[name].label}>
            <SelectList>
              {valuesOf(nodes, name).map(([value, count]) => (
                <SelectOption
                  key={value}
                  value={`${name} ${value}`}
                  isSelected={equal.some(([field, now]) => field === name && now === value)}
                >
                  {value} <Badge isRead>{count.toLocaleString()}</Badge>
                </SelectOption>
              ))}
            </SelectList>
          </SelectGroup>
        ))}
    </Select>
  )
}

/** The most frequent values, with how many nodes have them. */
function valuesOf(nodes: readonly FleetNode[], name: Equal): [string, number][] {
  const counts = new Map<string, number>()
  for (const node of nodes) {
    const value = equals[name].of(node)
    counts.set(value, (counts.get(value) ?? 0) + 1)
  }
  return [...counts].sort(([, a], [, b]) => b - a).slice(0, mostValues)
}
