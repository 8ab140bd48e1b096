/** Interfaces of fake hardware that are there and have nothing to do yet. */
import type { PlainInterface } from '../driver.ts'

const nothing: PlainInterface = { validate: async () => {} }

export const plain = {
  bios: nothing,
  console: nothing,
  firmware: nothing,
  raid: nothing,
  rescue: nothing,
  storage: nothing,
  vendor: nothing,
}
