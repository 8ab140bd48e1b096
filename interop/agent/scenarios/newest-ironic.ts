/** The newest Ironic, which inspects by itself, works with our agent. */
import { aroundIronic, newestIronic } from '../editions.ts'
import type { Scenario } from '../scenario.ts'
import { workUnder } from '../under-ironic.ts'

export default {
  name: 'newest-ironic',
  title: 'the newest ironic of the Python package index, unmodified, with our agent',
  packages: aroundIronic,
  run: () => workUnder('newest-ironic', newestIronic),
} satisfies Scenario
