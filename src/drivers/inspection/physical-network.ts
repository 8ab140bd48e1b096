/**
 * Hook physical-network: ports get the physical network whose addresses their interface has, as [inspector]
 * physical_network_cidr_map says.
 *
 * Source: Ironic ironic/drivers/modules/inspector/hooks/physical_network.py (behaviour restated).
 */
import { BlockList, isIP } from 'node:net'
import type { Config } from '#config/options.ts'
import { updatePort } from '#db/ports.ts'
import { InvalidInput } from '#lib/fault.ts'
import { type Hook, textIn } from './hook.ts'
import { keptInterfaces } from './network-interfaces.ts'

export const physicalNetwork: Hook = {
  needs: ['validate-interfaces'],
  checkConfig: config => void networks(config),
  async run({ ctx, pluginData, ports }) {
    const { db, clock, config } = ctx
    const known = networks(config)
    const byAddress = new Map((await ports()).map(port => [port.address, port]))
    for (const one of Object.values(keptInterfaces(pluginData, 'all_interfaces'))) {
      const port = byAddress.get(one.mac_address)
      if (!port) continue
      const addresses = [textIn(one.ipv4_address), textIn(one.ipv6_address)].filter(address => address !== undefined)
      const found = addresses.map(address => known.find(({ has }) => has(address))).find(Boolean)
      if (!found || port.physical_network === found.name) continue
      await updatePort(db, port.uuid, { physical_network: found.name }, clock.now())
    }
  },
}

interface Network {
  readonly name: string
  has(address: string): boolean
}

/** @throws InvalidInput naming the entry */
function networks({ inspector }: Config): Network[] {
  return inspector.physical_network_cidr_map.map(entry => {
    const [, network = '', bits = '', name = ''] = /^(.+)\/(\d{1,3}):([^:]{1,64})$/.exec(entry) ?? []
    const family = isIP(network)
    if (family === 0 || Number(bits) > (family === 4 ? 32 : 128)) {
      throw new InvalidInput(
        `Cannot read [inspector] physical_network_cidr_map: found ${JSON.stringify(entry)}, expected NETWORK/BITS:NAME`,
      )
    }
    const list = new BlockList()
    list.addSubnet(network, Number(bits), family === 4 ? 'ipv4' : 'ipv6')
    return {
      name,
      has: address => isIP(address) === family && list.check(address, family === 4 ? 'ipv4' : 'ipv6'),
    }
  })
}
