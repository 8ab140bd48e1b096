/**
 * All endpoints of the API: the one list from which routes, policies and documents are made. A new resource adds its
 * file here and nowhere else.
 */
import type { Endpoint } from './endpoint.ts'
import { allocations } from './resources/allocations.ts'
import { chassis } from './resources/chassis.ts'
import { conductors } from './resources/conductors.ts'
import { deployTemplates } from './resources/deploy-templates.ts'
import { drivers } from './resources/drivers.ts'
import { events } from './resources/events.ts'
import { inspectionRules } from './resources/inspection-rules.ts'
import { inspector } from './resources/inspector.ts'
import { nodeFirmware } from './resources/node-firmware.ts'
import { nodeHistory } from './resources/node-history.ts'
import { nodeIndicators } from './resources/node-indicators.ts'
import { nodeManagement } from './resources/node-management.ts'
import { nodePlan } from './resources/node-plan.ts'
import { nodeSettings } from './resources/node-settings.ts'
import { nodeStates } from './resources/node-states.ts'
import { nodeTimeline } from './resources/node-timeline.ts'
import { nodeTraits } from './resources/node-traits.ts'
import { nodeVifs } from './resources/node-vifs.ts'
import { nodeVmedia } from './resources/node-vmedia.ts'
import { nodes } from './resources/nodes.ts'
import { openapi } from './resources/openapi.ts'
import { portgroups } from './resources/portgroups.ts'
import { ports } from './resources/ports.ts'
import { ramdisk } from './resources/ramdisk.ts'
import { ramdiskLogs } from './resources/ramdisk-logs.ts'
import { root } from './resources/root.ts'
import { runbooks } from './resources/runbooks.ts'
import { runs } from './resources/runs.ts'
import { serviceViews } from './resources/service-views.ts'
import { settings } from './resources/settings.ts'
import { shards } from './resources/shards.ts'
import { takeover } from './resources/takeover.ts'
import { vendorPassthru } from './resources/vendor-passthru.ts'
import { volumes } from './resources/volumes.ts'

export const endpoints: readonly Endpoint[] = [
  ...root,
  ...nodes,
  ...nodeStates,
  ...nodePlan,
  ...nodeSettings,
  ...nodeManagement,
  ...nodeIndicators,
  ...nodeVmedia,
  ...vendorPassthru,
  ...nodeHistory,
  ...nodeTimeline,
  ...runs,
  ...nodeFirmware,
  ...nodeVifs,
  ...nodeTraits,
  ...ports,
  ...portgroups,
  ...chassis,
  ...volumes,
  ...deployTemplates,
  ...runbooks,
  ...inspectionRules,
  ...drivers,
  ...conductors,
  ...allocations,
  ...shards,
  ...settings,
  ...serviceViews,
  ...events,
  ...takeover,
  ...ramdisk,
  ...inspector,
  ...ramdiskLogs,
  ...openapi(() => endpoints),
]
