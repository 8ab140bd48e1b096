/**
 * The end of every inspection: the rules run over what was found, what they change is written, and the inventory is
 * kept. The same for what a ramdisk told and for what a BMC told.
 *
 * Rules run once: what they change is kept until it is written, so that a process that dies in between appends nothing
 * twice. Source: Ironic ironic/conductor/inspection.py, continue_inspection (behaviour restated).
 */
import { dropFound, findFound, findOutcome, rulesOfPhase, writeOutcome } from '#db/inspections.ts'
import { updatePort } from '#db/ports.ts'
import type { FlowContext } from '#drivers/driver.ts'
import type { Registry } from '#drivers/registry.ts'
import { interfaceTypes } from '#protocol/interfaces.ts'
import { callApi } from './api-call.ts'
import { readBuiltInRules } from './built-in-rules.ts'
import { keepInventory } from './inventory.ts'
import { type RulesOutcome, runRules } from './rule-engine.ts'

/** What the rules need to know of drivers. */
export type RuleDrivers = Pick<Registry, 'interfacesFor' | 'secretKeys'>

type Changes = Omit<RulesOutcome, 'told'>

/** Nothing is done where nothing was found: a machine that only pretends has no inventory. */
export async function finishInspection(ctx: FlowContext, drivers: RuleDrivers): Promise<void> {
  const { flow } = ctx
  await flow.once('inspection rules', () => evaluate(ctx, drivers))
  await flow.once('what the rules changed', () => apply(ctx))
  await flow.once('keep the inventory', () => keep(ctx))
}

/** How many rules one event names; the log has them all. */
const mostTold = 100

async function evaluate(ctx: FlowContext, drivers: RuleDrivers): Promise<void> {
  const now = await ctx.fresh()
  const { db, config, clock, signal, node } = now
  const found = await findFound(db, node.uuid)
  if (!found) return
  const { built_in_rules, mask_secrets } = config.inspection_rules
  const rules = [...(await rulesOfPhase(db, 'main')), ...(await readBuiltInRules(built_in_rules))]
  if (rules.length === 0) return
  const subject = { node, ports: now.ports, inventory: found.inventory, pluginData: found.plugin_data }
  const { told, ...changes } = await runRules(rules, subject, {
    log: now.log,
    maskSecrets: mask_secrets,
    secretKeys: drivers.secretKeys(),
    callApi: call => callApi(call, { config, clock, signal }),
  })
  await writeOutcome(db, node.uuid, { ...changes, node: withFittingInterfaces(now, changes, drivers) })
  const applied = told.filter(rule => rule.did !== null)
  const skipped = told.length - applied.length
  await ctx.flow.event('inspection rules', { applied: applied.slice(0, mostTold), skipped })
}

/** A machine that gets another driver keeps the interfaces that the new one has, and gets its defaults for the rest. */
function withFittingInterfaces({ node }: FlowContext, { node: patch }: Changes, drivers: RuleDrivers): Changes['node'] {
  const fields = interfaceTypes.map(type => `${type}_interface` as const)
  if (patch.driver === undefined && !fields.some(field => patch[field] !== undefined)) return patch
  const driver = patch.driver ?? node.driver
  // What a rule names is meant, and refused where it does not fit; what the node had before may go.
  const chosen = fields.map(field => {
    const name = patch[field] ?? node[field]
    if (name === null || patch[field] !== undefined || driver === node.driver) return [field, name] as const
    return [field, fits(drivers, driver, field, name) ? name : null] as const
  })
  return { ...patch, ...drivers.interfacesFor(driver, Object.fromEntries(chosen)) }
}

function fits({ interfacesFor }: RuleDrivers, driver: string, field: string, name: string): boolean {
  const defaults = interfacesFor(driver, {})
  try {
    return interfacesFor(driver, { ...defaults, [field]: name })[field as keyof typeof defaults] === name // its own field
  } catch {
    return false
  }
}

async function apply(ctx: FlowContext): Promise<void> {
  const outcome = (await findOutcome(ctx.db, ctx.flow.nodeUuid)) as Changes | undefined // as evaluate() wrote it
  if (!outcome) return
  const { db, clock, flow } = ctx
  if (Object.keys(outcome.node).length > 0) await flow.write(outcome.node)
  for (const { uuid, patch } of outcome.ports) await updatePort(db, uuid, patch, clock.now())
  if (outcome.ports.length > 0) await (await ctx.fresh()).portsChanged()
}

async function keep(ctx: FlowContext): Promise<void> {
  const { db, flow } = ctx
  const found = await findFound(db, flow.nodeUuid)
  if (!found) return
  const outcome = (await findOutcome(db, flow.nodeUuid)) as Changes | undefined // as evaluate() wrote it
  const { logs: _, ...pluginData } = outcome?.pluginData ?? found.plugin_data
  await keepInventory(ctx, flow.nodeUuid, { inventory: found.inventory, plugin_data: pluginData })
  await dropFound(db, flow.nodeUuid)
}
