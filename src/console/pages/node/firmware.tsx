/** Settings of the BIOS, versions of firmware, and RAID as it is and as it shall be. */
import { Grid, GridItem, SearchInput, Title } from '@patternfly/react-core'
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { get, part } from '../../api.ts'
import type { Node } from '../../node-type.ts'
import { Asked } from '../../parts/asked.tsx'
import { Json } from '../../parts/facts.tsx'
import { moment } from '../../parts/time.ts'
import type { TabProps } from '../node.tsx'

interface Setting {
  readonly name: string
  readonly value: string | null
  readonly attribute_type: string | null
  readonly allowable_values: readonly string[] | null
  readonly lower_bound: number | null
  readonly upper_bound: number | null
  readonly read_only: boolean | null
  readonly updated_at: string | null
}

interface Component {
  readonly component: string
  readonly initial_version: string | null
  readonly current_version: string | null
  readonly last_version_flashed: string | null
  readonly updated_at: string | null
}

export default function Firmware({ node }: TabProps) {
  return (
    <>
      <Title headingLevel="h2">Firmware</Title>
      <Components node={node} />
      <Title headingLevel="h2" className="ferrite-gap-above">
        RAID
      </Title>
      <Raid node={node} />
      <Title headingLevel="h2" className="ferrite-gap-above">
        BIOS settings
      </Title>
      <Settings node={node} />
    </>
  )
}

function Components({ node }: { node: Node }) {
  const query = useQuery({
    queryKey: ['node', node.uuid, 'firmware'],
    queryFn: ({ signal }) =>
      get<{ firmware: readonly Component[] }>(`/v1/nodes/${part(node.uuid)}/firmware`, { signal }),
  })
  return (
    <Asked query={query} what="read the versions of firmware">
      {({ firmware }) =>
        firmware.length === 0 ? (
          <p className="ferrite-subtle">No versions are known; {node.firmware_interface} is the firmware interface.</p>
        ) : (
          <Table variant="compact" aria-label="Firmware">
            <Thead>
              <Tr>
                <Th>Component</Th>
                <Th>Version</Th>
                <Th>At first</Th>
                <Th>Flashed last</Th>
                <Th>Read</Th>
              </Tr>
            </Thead>
            <Tbody>
              {firmware.map(one => (
                <Tr key={one.component}>
                  <Td dataLabel="Component">{one.component}</Td>
                  <Td dataLabel="Version">{one.current_version ?? '–'}</Td>
                  <Td dataLabel="At first">{one.initial_version ?? '–'}</Td>
                  <Td dataLabel="Flashed last">{one.last_version_flashed ?? '–'}</Td>
                  <Td dataLabel="Read">{moment(one.updated_at)}</Td>
                </Tr>
              ))}
            </Tbody>
          </Table>
        )
      }
    </Asked>
  )
}

function Raid({ node: { raid_config, target_raid_config, raid_interface } }: { node: Node }) {
  const isEmpty = (config: object) => Object.keys(config).length === 0
  if (isEmpty(raid_config) && isEmpty(target_raid_config)) {
    return (
      <p className="ferrite-subtle">
        Nothing is built and nothing is asked for; {raid_interface} is the RAID interface.
      </p>
    )
  }
  return (
    <Grid hasGutter lg={6}>
      <GridItem>
        <h3>As it is</h3>
        <Json value={raid_config} />
      </GridItem>
      <GridItem>
        <h3>As the next cleaning builds it</h3>
        <Json value={target_raid_config} />
      </GridItem>
    </Grid>
  )
}

function Settings({ node }: { node: Node }) {
  const [word, setWord] = useState('')
  const query = useQuery({
    queryKey: ['node', node.uuid, 'bios'],
    queryFn: ({ signal }) =>
      get<{ bios: readonly Setting[] }>(`/v1/nodes/${part(node.uuid)}/bios`, { query: { detail: true }, signal }),
  })
  return (
    <Asked query={query} what="read the BIOS settings">
      {({ bios }) => {
        if (bios.length === 0)
          return <p className="ferrite-subtle">None are known; they are read when the node is managed.</p>
        const shown = bios.filter(({ name, value }) => `${name} ${value}`.toLowerCase().includes(word.toLowerCase()))
        return (
          <>
            <SearchInput
              aria-label="Search BIOS settings"
              placeholder={`Search ${bios.length} settings`}
              value={word}
              onChange={(_, value) => setWord(value)}
              onClear={() => setWord('')}
              className="ferrite-narrow"
            />
            <Table variant="compact" aria-label="BIOS settings">
              <Thead>
                <Tr>
                  <Th>Setting</Th>
                  <Th>Value</Th>
                  <Th>May be</Th>
                  <Th>Read</Th>
                </Tr>
              </Thead>
              <Tbody>
                {shown.map(setting => (
                  <Tr key={setting.name}>
                    <Td dataLabel="Setting">{setting.name}</Td>
                    <Td dataLabel="Value">{setting.value ?? '–'}</Td>
                    <Td dataLabel="May be">{choiceOf(setting)}</Td>
                    <Td dataLabel="Read">{moment(setting.updated_at)}</Td>
                  </Tr>
                ))}
              </Tbody>
            </Table>
          </>
        )
      }}
    </Asked>
  )
}

function choiceOf({ allowable_values, lower_bound, upper_bound, read_only, attribute_type }: Setting): string {
  if (read_only) return 'only read'
  if (allowable_values?.length) return allowable_values.join(', ')
  if (lower_bound !== null || upper_bound !== null) return `${lower_bound ?? '…'} to ${upper_bound ?? '…'}`
  return attribute_type ?? '–'
}
