/** The nodes that get the image: those whose state allows it, found by words; who is in use only where that is wanted. */
import { Button, Checkbox, SearchInput, Toolbar, ToolbarContent, ToolbarItem } from '@patternfly/react-core'
import { useState } from 'react'
import type { FleetNode } from '../../fleet.ts'
import { StateLabel } from '../../parts/state-label.tsx'
import { deployVerb, losesInstance } from './wish.ts'

/** More are found by words. */
const most = 100

interface Props {
  /** Undefined: not read yet. */
  readonly nodes: readonly FleetNode[] | undefined
  readonly chosen: ReadonlySet<string>
  readonly onChange: (chosen: ReadonlySet<string>) => void
}

export function ChooseNodes({ nodes, chosen, onChange }: Props) {
  const [words, setWords] = useState('')
  const [showsUsed, setShowsUsed] = useState(false)
  const candidates = (nodes ?? []).filter(
    node => chosen.has(node.uuid) || (deployVerb(node) !== undefined && (showsUsed || !losesInstance(node))),
  )
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean)
  const found = candidates.filter(node => wanted.every(word => textOf(node).includes(word)))
  const shown = found.slice(0, most)
  const toggle = (uuids: readonly string[], isChosen: boolean) => {
    const next = new Set(chosen)
    for (const uuid of uuids) isChosen ? next.add(uuid) : next.delete(uuid)
    onChange(next)
  }
  return (
    <>
      <Toolbar inset={{ default: 'insetNone' }}>
        <ToolbarContent>
          <ToolbarItem>
            <SearchInput
              aria-label="Find nodes to deploy"
              placeholder="Name, UUID, resource class …"
              value={words}
              onChange={(_, text) => setWords(text)}
              onClear={() => setWords('')}
            />
          </ToolbarItem>
          <ToolbarItem alignSelf="center">
            <Checkbox
              id="deploy-used"
              label="Also nodes that are in use: they lose their instance"
              isChecked={showsUsed}
              onChange={(_, isChecked) => setShowsUsed(isChecked)}
            />
          </ToolbarItem>
        </ToolbarContent>
      </Toolbar>
      <p role="status" className="ferrite-subtle">
        {nodes
          ? `${chosen.size.toLocaleString()} chosen of ${candidates.length.toLocaleString()}`
          : 'Reading the fleet …'}
        {found.length > most && `; the first ${most} of ${found.length.toLocaleString()} found are shown`}
      </p>
      {shown.length > 1 && (
        <p>
          <Button
            variant="link"
            isInline
            onClick={() =>
              toggle(
                shown.map(({ uuid }) => uuid),
                true,
              )
            }
          >
            Choose all that are shown
          </Button>{' '}
          <Button variant="link" isInline isDisabled={chosen.size === 0} onClick={() => onChange(new Set())}>
            Choose none
          </Button>
        </p>
      )}
      <ul className="ferrite-choices">
        {shown.map(node => (
          <li key={node.uuid} className="ferrite-between">
            <Checkbox
              id={`deploy-${node.uuid}`}
              label={node.name ?? node.uuid}
              description={node.resource_class ?? undefined}
              isChecked={chosen.has(node.uuid)}
              onChange={(_, isChecked) => toggle([node.uuid], isChecked)}
            />
            <StateLabel state={node.provision_state} />
          </li>
        ))}
      </ul>
      {nodes && candidates.length === 0 && <p>No node is available: manage and provide one first.</p>}
    </>
  )
}

function textOf({ name, uuid, resource_class, provision_state }: FleetNode): string {
  return [name, uuid, resource_class, provision_state].filter(Boolean).join('\n').toLowerCase()
}
