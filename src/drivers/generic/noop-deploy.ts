/**
 * The deploy interface of machines that have their system already: a deployment makes a record of it and nothing else.
 * Neither power nor boot nor disk is touched, not when the instance goes and not when the node is cleaned.
 *
 * Source: ironic/drivers/modules/noop.py, NoDeploy (behaviour).
 */
import type { DeployInterface } from '../driver.ts'
import type { Step } from '../step.ts'

/** A deployment without a step would be refused. */
const deploy: Step = {
  interface: 'deploy',
  step: 'deploy',
  priority: 100,
  kinds: ['deploy'],
  run: async () => {},
}

export default {
  usesAgent: false,
  steps: [deploy],
  validate: async () => {},
  prepare: async () => {},
  cleanUp: async () => {},
  tearDown: async () => {},
  prepareCleaning: async () => {},
  tearDownCleaning: async () => {},
  prepareService: async () => {},
  tearDownService: async () => {},
  adopt: async () => {},
} satisfies DeployInterface
