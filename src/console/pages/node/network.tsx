/** How the machine is connected: its NICs with what their switches say of themselves, its ports, and the networks on them. */
import { Label, Title } from '@patternfly/react-core'
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { useQuery } from '@tanstack/react-query'
import { all, get, part } from '../../api.ts'
import type { Node, Port } from '../../node-type.ts'
import { Asked } from '../../parts/asked.tsx'
import type { TabProps } from '../node.tsx'
import { type FoundInterface, type Inventory, useInventory } from './inventory-data.ts'

export default function Network({ node }: TabProps) {
  return (
    <>
      <Title headingLevel="h2">Ports</Title>
      <Ports node={node} />
      <Title headingLevel="h2" className="ferrite-gap-above">
        Interfaces and switches
      </Title>
      <Interfaces node={node} />
      <Title headingLevel="h2" className="ferrite-gap-above">
        Virtual interfaces
      </Title>
      <Vifs node={node} />
    </>
  )
}

function Ports({ node }: { node: Node }) {
  const query = useQuery({
    queryKey: ['node', node.uuid, 'ports'],
    queryFn: ({ signal }) => all<Port>(`/v1/nodes/${part(node.uuid)}/ports/detail`, 'ports', { signal }),
  })
  return (
    <Asked query={query} what="list the ports">
      {ports =>
        ports.length === 0 ? (
          <p className="ferrite-subtle">
            The node has no ports. An inspection makes them, or create them with the API.
          </p>
        ) : (
          <Table variant="compact" aria-label="Ports">
            <Thead>
              <Tr>
                <Th>MAC address</Th>
                <Th>Name</Th>
                <Th>Boots from it</Th>
                <Th>Physical network</Th>
                <Th>Switch</Th>
                <Th>Port group</Th>
                <Th>Virtual interface</Th>
              </Tr>
            </Thead>
            <Tbody>
              {ports.map(port => {
                const { switch_info, switch_id, port_id } = port.local_link_connection
                const vif = port.internal_info.tenant_vif_port_id
                return (
                  <Tr key={port.uuid}>
                    <Td dataLabel="MAC address">
                      <span className="ferrite-mono">{port.address}</span>
                    </Td>
                    <Td dataLabel="Name">{port.name ?? '–'}</Td>
                    <Td dataLabel="Boots from it">
                      {port.pxe_enabled ? (
                        <Label isCompact color="blue">
                          boots
                        </Label>
                      ) : (
                        'no'
                      )}
                    </Td>
                    <Td dataLabel="Physical network">{port.physical_network ?? '–'}</Td>
                    <Td dataLabel="Switch">{[switch_info ?? switch_id, port_id].filter(Boolean).join(', ') || '–'}</Td>
                    <Td dataLabel="Port group">{port.portgroup_uuid ?? '–'}</Td>
                    <Td dataLabel="Virtual interface">{typeof vif === 'string' ? vif : '–'}</Td>
                  </Tr>
                )
              })}
            </Tbody>
          </Table>
        )
      }
    </Asked>
  )
}

function Interfaces({ node }: { node: Node }) {
  const query = useInventory(node)
  return (
    <Asked query={query} what="read the inventory">
      {found =>
        !found?.inventory.interfaces?.length ? (
          <p className="ferrite-subtle">An inspection with the agent finds them.</p>
        ) : (
          <Table variant="compact" aria-label="Interfaces">
            <Thead>
              <Tr>
                <Th>Interface</Th>
                <Th>MAC address</Th>
                <Th>Link</Th>
                <Th>Addresses</Th>
                <Th>Driver</Th>
                <Th>Switch, by LLDP</Th>
                <Th>Its port</Th>
              </Tr>
            </Thead>
            <Tbody>
              {found.inventory.interfaces.map(one => (
                <Interface key={one.name} found={found} nic={one} />
              ))}
            </Tbody>
          </Table>
        )
      }
    </Asked>
  )
}

function Interface({ found, nic }: { found: Inventory; nic: FoundInterface }) {
  const lldp = found.plugin_data.parsed_lldp?.[nic.name]
  const { switch_system_name, switch_chassis_id, switch_port_id, switch_port_description } = lldp ?? {}
  const text = (...values: readonly unknown[]) => values.filter(one => typeof one === 'string' && one !== '').join(', ')
  return (
    <Tr>
      <Td dataLabel="Interface">{nic.name}</Td>
      <Td dataLabel="MAC address">
        <span className="ferrite-mono">{nic.mac_address}</span>
      </Td>
      <Td dataLabel="Link">
        {nic.has_carrier ? (
          <Label isCompact color="green">
            {nic.speed_mbps ? `${nic.speed_mbps / 1000} Gbit/s` : 'up'}
          </Label>
        ) : (
          <Label isCompact>no link</Label>
        )}
      </Td>
      <Td dataLabel="Addresses">{text(nic.ipv4_address, nic.ipv6_address) || '–'}</Td>
      <Td dataLabel="Driver">{text(nic.driver, nic.pci_address) || '–'}</Td>
      <Td dataLabel="Switch, by LLDP">{text(switch_system_name, switch_chassis_id) || 'not heard of'}</Td>
      <Td dataLabel="Its port">{text(switch_port_id, switch_port_description) || '–'}</Td>
    </Tr>
  )
}

function Vifs({ node }: { node: Node }) {
  const query = useQuery({
    queryKey: ['node', node.uuid, 'vifs'],
    queryFn: ({ signal }) => get<{ vifs: readonly { id: string }[] }>(`/v1/nodes/${part(node.uuid)}/vifs`, { signal }),
  })
  return (
    <Asked query={query} what="list the virtual interfaces">
      {({ vifs }) =>
        vifs.length === 0 ? (
          <p className="ferrite-subtle">None is attached.</p>
        ) : (
          <ul>
            {vifs.map(({ id }) => (
              <li key={id} className="ferrite-mono">
                {id}
              </li>
            ))}
          </ul>
        )
      }
    </Asked>
  )
}
