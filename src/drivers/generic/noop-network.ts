/** The network interface of sites where every machine is always connected to what it needs. Does nothing. */
import type { NetworkInterface } from '../driver.ts'

const noop: NetworkInterface = {
  validate: async () => {},
  attach: async () => {},
  detach: async () => {},
}

export default noop
