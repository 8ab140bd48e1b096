import type { RescueInterface } from '../driver.ts'
import { refusing } from './unsupported.ts'

const refuse = refusing('rescue', 'Rescue')

const noRescue: RescueInterface = {
  validate: refuse,
  rescue: refuse,
  unrescue: refuse,
  // Where none can have begun, there is nothing to remove.
  cleanUp: async () => {},
}

export default noRescue
