/**
 * The `autodetect` deploy interface: for each deployment another one takes its place, chosen by what instance_info asks
 * for, until the instance is gone and the node is clean. Who chooses is the conductor; this one only cleans, as all
 * interfaces with an agent do.
 *
 * Source: deploy interfaces, "autodetect" (ironic/drivers/modules/autodetect.py restated).
 */
import { agentLife } from '../agent/agent-deploy.ts'
import type { DeployInterface } from '../driver.ts'

async function neverAsked(): Promise<never> {
  throw new Error('The deploy interface autodetect was to deploy a node: no other one has taken its place')
}

export default {
  ...agentLife,
  choosesAnother: true,
  steps: [],
  validate: neverAsked,
  prepare: neverAsked,
  adopt: neverAsked,
} satisfies DeployInterface
