/**
 * Management of machines whose boot order is set once by hand: network first, then the disk. Whatever boots next is
 * decided by whether the network has something for the machine, so nothing is asked of a BMC.
 *
 * Source: ironic/drivers/modules/noop_mgmt.py (behaviour).
 */

import type { ManagementInterface } from '../bmc-interfaces.ts'
import { Unsupported } from '../driver.ts'

const supported = ['pxe', 'disk'] as const

const noop: ManagementInterface = {
  validate: async () => {},

  supportedBootDevices: async () => supported,
  getBootDevice: async () => ({ boot_device: null, persistent: null }),

  async setBootDevice({ node }, device) {
    if (supported.some(one => one === device)) return
    throw new Unsupported(
      `Cannot boot node ${node.uuid} from "${device}": its management interface noop leaves the boot order as it is, ` +
        `which is expected to be ${supported.join(', then ')}`,
    )
  },

  getBootMode: async () => null,
  setBootMode: cannot('set its boot mode'),
  injectNmi: cannot('send it a non-maskable interrupt'),
  getHealth: async () => null,
  getVendor: async () => null,
  macAddresses: async () => [],
}

export default noop

function cannot(what: string): ManagementInterface['injectNmi'] {
  return async ({ node }) => {
    throw new Unsupported(`Cannot reach the BMC of node ${node.uuid} to ${what}: its management interface is noop`)
  }
}
