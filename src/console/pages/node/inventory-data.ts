/** What the last inspection found: the parts of the API's answer that pages show. Agents of others may leave any out. */
import { useQuery } from '@tanstack/react-query'
import type { Disk } from '#protocol/agent.ts'
import { ApiFault, get, part } from '../../api.ts'
import type { Node } from '../../node-type.ts'

export interface FoundInterface {
  readonly name: string
  readonly mac_address: string
  readonly ipv4_address?: string | null
  readonly ipv6_address?: string | null
  readonly has_carrier?: boolean | null
  readonly speed_mbps?: number | null
  readonly driver?: string | null
  readonly pci_address?: string | null
  readonly vendor?: string | null
  readonly product?: string | null
}

export interface Inventory {
  readonly inventory: {
    readonly interfaces?: readonly FoundInterface[]
    readonly cpu?: {
      readonly model_name?: string | null
      readonly frequency?: string | null
      readonly count?: number
      readonly architecture?: string
      readonly flags?: readonly string[]
      readonly socket_count?: number | null
    }
    readonly memory?: { readonly total?: number | null; readonly physical_mb?: number | null }
    readonly disks?: readonly Disk[]
    readonly bmc_address?: string | null
    readonly bmc_v6address?: string | null
    readonly system_vendor?: {
      readonly manufacturer?: string | null
      readonly product_name?: string | null
      readonly serial_number?: string | null
      readonly firmware?: { readonly vendor?: string; readonly version?: string; readonly build_date?: string } | null
    }
    readonly boot?: { readonly current_boot_mode?: string; readonly pxe_interface?: string | null }
    readonly hostname?: string | null
  }
  readonly plugin_data: {
    readonly root_disk?: Disk | null
    readonly parsed_lldp?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
    readonly [name: string]: unknown
  }
}

/** Null: the node was never inspected. */
export function useInventory(node: Node) {
  return useQuery({
    queryKey: ['node', node.uuid, 'inventory'],
    queryFn: async ({ signal }) => {
      try {
        return await get<Inventory>(`/v1/nodes/${part(node.uuid)}/inventory`, { signal })
      } catch (error) {
        if (error instanceof ApiFault && error.status === 404) return null
        throw error
      }
    },
  })
}
