/**
 * The deploy templates of a node: those whose names are among the traits that its instance asked for.
 *
 * Source: cleaning facts, "Deploy templates" (ironic/conductor/steps.py, _get_deployment_templates, restated).
 */

import type { Db } from '#db/database.ts'
import { deployTemplatesNamed } from '#db/deploy-templates.ts'
import type { Node } from '#db/nodes.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { AskedStep } from '../steps/plan.ts'

/** The steps of all of them. @throws InvalidInput for a trait that the node does not have */
export async function templateSteps({ db, node }: { db: Db; node: Node }): Promise<AskedStep[]> {
  const traits = instanceTraits(node)
  if (traits.length === 0) return []
  const missing = traits.filter(trait => !node.traits.includes(trait))
  if (missing.length > 0) {
    throw new InvalidInput(
      `Cannot deploy node ${node.uuid}: instance_info traits has ${missing.join(', ')}, which the node does not have`,
    )
  }
  const templates = await deployTemplatesNamed(db, traits)
  return templates.flatMap(template => template.steps as AskedStep[]) // checked against its schema when it was stored
}

/** @throws InvalidInput where it is no list of texts */
function instanceTraits(node: Node): string[] {
  const { traits = [] } = node.instance_info
  if (Array.isArray(traits) && traits.every(trait => typeof trait === 'string')) return traits
  throw new InvalidInput(
    `Cannot read instance_info traits of node ${node.uuid}: found ${JSON.stringify(traits)}, expected a list of traits`,
  )
}
