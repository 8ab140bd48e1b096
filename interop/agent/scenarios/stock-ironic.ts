/** Debian's Ironic and ironic-inspector work with our agent. */
import { debianIronic, forDebianIronic } from '../editions.ts'
import type { Scenario } from '../scenario.ts'
import { workUnder } from '../under-ironic.ts'

export default {
  name: 'stock-ironic',
  title: "Debian's ironic and ironic-inspector, unmodified, with our agent",
  packages: forDebianIronic,
  run: () => workUnder('stock-ironic', debianIronic),
} satisfies Scenario
