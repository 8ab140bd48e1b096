import type { InspectInterface } from '../driver.ts'
import { refusing } from './unsupported.ts'

const refuse = refusing('inspect', 'Inspection')

const noInspect: InspectInterface = {
  validate: refuse,
  inspect: refuse,
  cleanUp: async () => {},
}

export default noInspect
