/** Interfaces of fake hardware that are there and have nothing to do yet. */

import type { ConsoleInterface } from '../bmc-interfaces.ts'
import type { PlainInterface } from '../driver.ts'

const nothing: PlainInterface = { validate: async () => {} }

const silentConsole: ConsoleInterface = {
  validate: async () => {},
  start: async () => {},
  stop: async () => {},
  access: async () => null,
}

export const plain = {
  bios: nothing,
  console: silentConsole,
  firmware: nothing,
  raid: nothing,
  storage: nothing,
  vendor: nothing,
}
