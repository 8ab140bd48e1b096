import type { ConsoleInterface } from '../bmc-interfaces.ts'
import { refusing } from './unsupported.ts'

const refuse = refusing('console', 'A console')

const noConsole: ConsoleInterface = {
  validate: refuse,
  start: refuse,
  // Where none can have been started, it is off.
  stop: async () => {},
  access: async () => null,
}

export default noConsole
