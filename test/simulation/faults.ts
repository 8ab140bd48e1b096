/** What may go wrong in a simulation, and how often. Values only. */

export interface Faults {
  /** A process ends before, or right after, a statement. */
  death: number
  /** A process ends right after a request to a BMC or an agent. */
  deathAtRequest: number
  /** A process stands still for minutes and goes on as if nothing had been; per minute. */
  stall: number
  /** A statement fails: half of the times it has not been carried out, else only its answer is lost. */
  databaseError: number
  /** A conductor loses its database for a while; per minute. */
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
  stall: 0.05,
  databaseError: 0.0002,
  split: 0.03,
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
