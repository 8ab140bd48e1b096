/**
 * What a scenario of `npm run interop:agent` is: one file of scenarios/, whose default export names the two sides of the
 * agent's protocol, one of them stock, and has them inspect, clean and deploy a machine.
 */
import type { Drivable } from '../driving.ts'

export interface Scenario extends Drivable {
  /**
   * @returns what belongs in its line of the table
   * @throws with what was seen and what was expected; CannotRunHere when something cannot be had
   */
  run(): Promise<readonly string[]>
}
