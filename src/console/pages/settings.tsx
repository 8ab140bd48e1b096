/** Every option of the service: what it means, what it is, and where it differs from its default. */
import { Label, Switch, ToolbarItem } from '@patternfly/react-core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { get } from '../api.ts'
import { Facts } from '../parts/facts.tsx'
import { ListPage } from '../parts/list-page.tsx'

interface Setting {
  readonly group: string
  readonly name: string
  readonly value: string | null
  readonly is_set_secret: boolean
  readonly is_default: boolean
  readonly default: string | null
  readonly expected: string
  readonly help: string
  readonly mutable: boolean
  readonly effective: boolean
}

export default function Settings() {
  const [isChanged, setChanged] = useState(false)
  const [isActedOn, setActedOn] = useState(true)
  const query = useQuery({
    queryKey: ['settings', isChanged, isActedOn],
    queryFn: async ({ signal }) => {
      const { settings } = await get<{ settings: Setting[] }>('/v1/settings', { signal })
      return settings.filter(one => (!isChanged || !one.is_default) && (!isActedOn || one.effective))
    },
    staleTime: 60_000,
  })
  return (
    <ListPage
      title="Settings"
      about="The configuration in effect of the process that answers. It is changed in its files; options marked mutable are read again on SIGHUP."
      what="read the settings"
      query={query}
      keyOf={({ group, name }) => `${group}.${name}`}
      empty="No option is set otherwise than by default."
      columns={[
        { label: 'Section', width: 10, text: ({ group }) => `[${group}]` },
        { label: 'Option', width: 20, text: ({ name }) => name, shown: ({ name }) => <code>{name}</code> },
        {
          label: 'Value',
          width: 20,
          text: one => (one.is_set_secret ? 'set, secret' : (one.value ?? 'not set')),
          shown: one => <Value setting={one} />,
        },
        { label: 'Meaning', width: 50, text: ({ help }) => help },
      ]}
      details={({ expected, default: standard, mutable, effective }) => (
        <Facts
          facts={[
            ['Expected', expected],
            ['Default', standard ?? 'not set'],
            ['Takes effect', mutable ? 'on SIGHUP' : 'with the next start'],
            ['Acted on', effective ? 'yes' : 'no: it is accepted so that files of Ironic load'],
          ]}
        />
      )}
      actions={
        <>
          <ToolbarItem alignSelf="center">
            <Switch id="changed" label="Only what is set" isChecked={isChanged} onChange={(_, on) => setChanged(on)} />
          </ToolbarItem>
          <ToolbarItem alignSelf="center">
            <Switch
              id="acted"
              label="Only what is acted on"
              isChecked={isActedOn}
              onChange={(_, on) => setActedOn(on)}
            />
          </ToolbarItem>
        </>
      }
    />
  )
}

function Value({ setting }: { setting: Setting }) {
  if (setting.is_set_secret) return <Label isCompact>set, secret</Label>
  if (setting.value === null) return <span className="ferrite-subtle">not set</span>
  const text = setting.value === '' ? '""' : setting.value
  return setting.is_default ? <code>{text}</code> : <strong>{text}</strong>
}
