/**
 * Chooses among hardware managers: evaluates all, keeps those that fit, and sends each call and step to the best one.
 */
import type { AgentStep, StepKind } from '#protocol/agent.ts'
import type { AgentContext } from '../context.ts'
import { AgentFault } from '../errors.ts'
import type { Hardware, HardwareManager, HardwareMethods, Step, StepRun } from './manager.ts'

/** @throws AgentFault HardwareManagerNotFound when none fits */
export async function selectHardware(context: AgentContext, candidates: readonly HardwareManager[]): Promise<Hardware> {
  const levels = await Promise.all(
    candidates.map(async manager => ({ manager, level: await manager.evaluate(context) })),
  )
  const fitting = levels.filter(({ level }) => level > 0).sort((a, b) => b.level - a.level)
  if (fitting.length === 0) {
    throw new AgentFault('HardwareManagerNotFound', `None of ${candidates.length} hardware managers fits this machine`)
  }
  for (const { manager } of fitting) await manager.initialize?.(context)
  return new Dispatcher(fitting)
}

interface Ranked {
  manager: HardwareManager
  level: number
}

class Dispatcher implements Hardware {
  readonly managers: readonly HardwareManager[]
  readonly #ranked: readonly Ranked[]

  constructor(ranked: readonly Ranked[]) {
    this.#ranked = ranked
    this.managers = ranked.map(({ manager }) => manager)
  }

  versions(): Record<string, string> {
    return Object.fromEntries(this.managers.map(({ version }) => [version.name, version.version]))
  }

  offeredSteps(kind: StepKind): Record<string, AgentStep[]> {
    const best = new Map<string, Ranked & { step: Step; priority: number }>()
    for (const ranked of this.#ranked) {
      for (const step of ranked.manager.steps) {
        const priority = step.offered[kind]?.priority
        if (priority === undefined) continue
        const offer = { ...ranked, step, priority }
        const rival = best.get(step.step)
        if (rival === undefined || isBetter(offer, rival)) best.set(step.step, offer)
      }
    }
    const lists: Record<string, AgentStep[]> = Object.fromEntries(this.managers.map(({ className }) => [className, []]))
    for (const { manager, step } of best.values()) lists[manager.className]?.push(describe(step, kind))
    return lists
  }

  async runStep(name: string, args: Record<string, unknown>, context: Omit<StepRun, 'hardware'>): Promise<unknown> {
    const full: StepRun = { ...context, hardware: this }
    return await this.#firstWilling(
      name,
      manager => manager.steps.find(({ step }) => step === name),
      step => step.run(args, full),
    )
  }

  async call<M extends keyof HardwareMethods>(
    method: M,
    ...args: Parameters<HardwareMethods[M]>
  ): Promise<Awaited<ReturnType<HardwareMethods[M]>>> {
    type Method = (...args: Parameters<HardwareMethods[M]>) => Promise<Awaited<ReturnType<HardwareMethods[M]>>>
    return await this.#firstWilling(
      method,
      // The compiler cannot follow that looking up M yields M's signature.
      manager => manager.methods[method] as Method | undefined,
      found => found(...args),
    )
  }

  async #firstWilling<F, R>(
    name: string,
    find: (manager: HardwareManager) => F | undefined,
    use: (found: F) => Promise<R>,
  ): Promise<R> {
    let declined = ''
    for (const manager of this.managers) {
      const found = find(manager)
      if (found === undefined) continue
      try {
        return await use(found)
      } catch (error) {
        if (!(error instanceof AgentFault && error.type === 'IncompatibleHardwareMethodError')) throw error
        declined += `; ${manager.className} declined: ${error.message}`
      }
    }
    const asked = this.managers.map(({ className }) => className).join(', ')
    throw new AgentFault('HardwareManagerMethodNotFound', `Cannot run ${name}: none of ${asked} offers it${declined}`)
  }
}

function isBetter(a: Ranked & { priority: number }, b: Ranked & { priority: number }): boolean {
  if (a.level !== b.level) return a.level > b.level
  if (a.priority !== b.priority) return a.priority > b.priority
  return a.manager.className < b.manager.className
}

function describe(step: Step, kind: StepKind): AgentStep {
  const offer = step.offered[kind]
  return {
    step: step.step,
    interface: step.interface,
    priority: offer?.priority ?? 0,
    reboot_requested: step.rebootRequested ?? false,
    ...(offer?.abortable === undefined ? {} : { abortable: offer.abortable }),
    ...(step.argsinfo === undefined ? {} : { argsinfo: step.argsinfo }),
  }
}
