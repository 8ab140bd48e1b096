/**
 * All endpoints of the API: the one list from which routes, policies and documents are made. A new resource adds its
 * file here and nowhere else.
 */
import type { Endpoint } from './endpoint.ts'
import { allocations } from './resources/allocations.ts'
import { conductors } from './resources/conductors.ts'
import { drivers } from './resources/drivers.ts'
import { nodeHistory } from './resources/node-history.ts'
import { nodeManagement } from './resources/node-management.ts'
import { nodeStates } from './resources/node-states.ts'
import { nodes } from './resources/nodes.ts'
import { ports } from './resources/ports.ts'
import { ramdisk } from './resources/ramdisk.ts'
import { root } from './resources/root.ts'

export const endpoints: readonly Endpoint[] = [
  ...root,
  ...nodes,
  ...nodeStates,
  ...nodeManagement,
  ...nodeHistory,
  ...ports,
  ...drivers,
  ...conductors,
  ...allocations,
  ...ramdisk,
]
