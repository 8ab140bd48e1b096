/** What may go wrong in a simulation, how often, and how often it did. */
import type { Chance } from '#sim/chance.ts'

export interface Faults {
  /** A process ends before, or right after, a statement. */
  death: number
  /** A process ends right after a request to a BMC or an agent. */
  deathAtRequest: number
  /** A process stands still for a while, before or after a statement, and goes on as if nothing had been. */
  stall: number
  /** It does so when a request to a BMC or an agent has been answered. */
  stallAtRequest: number
  /** A statement fails: half of the times it has not been carried out, else only its answer is lost. */
  databaseError: number
  /** A conductor loses its database for a while; per 20 seconds. */
  split: number
  /** A BMC answers 503. */
  bmcBusy: number
  /** A request to a BMC is carried out, and its answer is lost. */
  bmcCut: number
  /** A BMC accepts a power change and does nothing. */
  bmcIgnores: number
  /** A BMC tells an old power state. */
  bmcLies: number
  /** A request to an agent is lost on its way, or its answer is. */
  agentCut: number
  /** A request of a machine to the API is lost, or its answer is, or it arrives twice. */
  apiCut: number
  /** The machine hangs, or starts anew, in mid-step. */
  machineDies: number
  /** A network boot ends nowhere. */
  bootHangs: number
  /** A step fails. */
  stepFails: number
}

export const none: Faults = {
  death: 0,
  deathAtRequest: 0,
  stall: 0,
  stallAtRequest: 0,
  databaseError: 0,
  split: 0,
  bmcBusy: 0,
  bmcCut: 0,
  bmcIgnores: 0,
  bmcLies: 0,
  agentCut: 0,
  apiCut: 0,
  machineDies: 0,
  bootHangs: 0,
  stepFails: 0,
}

/** With everything going wrong now and then. */
export const usual: Faults = {
  death: 0.0003,
  deathAtRequest: 0.01,
  stall: 0.00005,
  stallAtRequest: 0.004,
  databaseError: 0.0002,
  split: 0.02,
  bmcBusy: 0.03,
  bmcCut: 0.02,
  bmcIgnores: 0.01,
  bmcLies: 0.02,
  agentCut: 0.08,
  apiCut: 0.05,
  machineDies: 0.02,
  bootHangs: 0.03,
  stepFails: 0.02,
}

/** The faults of one simulation, which come to an end, and how often each has struck. */
export class Luck {
  readonly rates: Faults
  readonly struck: Faults = { ...none }
  isOver = false

  constructor(rates: Faults) {
    this.rates = rates
  }

  /** Does this go wrong now? It draws in any case: turning one fault off leaves the others in place. */
  strikes(kind: keyof Faults, chance: Chance, share = 1): boolean {
    const strikes = chance.happens(this.isOver ? 0 : this.rates[kind] * share)
    if (strikes) this.struck[kind] += 1
    return strikes
  }
}
