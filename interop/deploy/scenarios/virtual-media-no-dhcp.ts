/** No DHCP at all: the ramdisk comes from the BMC's virtual CD, with the addresses that the node has been given. */
import type { Scenario } from '../scenario.ts'

const address = '10.77.0.50'

export default {
  name: 'virtual-media-no-dhcp',
  title: 'direct by redfish-virtual-media: static addresses on the ISO, no DHCP server in the network',
  packages: [],
  machine: {
    config: {
      DEFAULT: { enabled_boot_interfaces: 'redfish-virtual-media', enabled_hardware_types: 'redfish' },
      ferrite: { manage_dnsmasq: false },
      redfish: { kernel_append_params: 'nofb vga=normal console=tty0 console=ttyS0,115200' },
    },
  },
  async run(world) {
    const { lab } = world
    await world.makeAvailable()
    const from = await lab.serialSize()
    const [nic] = lab.machine.nics
    const network = { id: 'n', link: 'card', type: 'ipv4', ip_address: address, netmask: '255.255.255.0', routes: [] }
    await lab.change('/network_data', {
      links: [{ id: 'card', type: 'phy', ethernet_mac_address: nic?.mac }],
      networks: [network],
      services: [],
    })
    await world.deploy(world.imageAt(`file://${world.image.raw}`), { hostname: 'no-dhcp' })
    await lab.says(new RegExp(`static addresses: \\w+ ${address}/24`), from, 1000)
  },
} satisfies Scenario
