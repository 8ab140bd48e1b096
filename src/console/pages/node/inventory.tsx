/** What the machine is made of, as its last inspection found it. */
import { ExpandableSection, Grid, GridItem } from '@patternfly/react-core'
import { bytes } from '../../parts/amounts.ts'
import { Asked } from '../../parts/asked.tsx'
import { FactCard, Json } from '../../parts/facts.tsx'
import { moment } from '../../parts/time.ts'
import type { TabProps } from '../node.tsx'
import { useInventory } from './inventory-data.ts'
import { NotInspected } from './not-inspected.tsx'

export default function InventoryTab({ node }: TabProps) {
  const query = useInventory(node)
  return (
    <Asked query={query} what="read the inventory">
      {found => {
        if (!found) return <NotInspected />
        const { cpu, memory, system_vendor, boot, bmc_address, bmc_v6address, hostname, disks, interfaces } =
          found.inventory
        const { firmware } = system_vendor ?? {}
        return (
          <>
            <p className="ferrite-subtle">Inspected {moment(node.inspection_finished_at)}.</p>
            <Grid hasGutter lg={6}>
              <GridItem>
                <FactCard
                  title="System"
                  facts={[
                    ['Manufacturer', system_vendor?.manufacturer],
                    ['Product', system_vendor?.product_name],
                    ['Serial number', system_vendor?.serial_number],
                    ['Firmware', [firmware?.vendor, firmware?.version, firmware?.build_date].filter(Boolean).join(' ')],
                    ['Boot mode', boot?.current_boot_mode],
                    ['Booted from', boot?.pxe_interface],
                    ['BMC', [bmc_address, bmc_v6address].filter(one => one && one !== '::/0').join(', ')],
                    ['Host name', hostname],
                  ]}
                />
              </GridItem>
              <GridItem>
                <FactCard
                  title="CPU and memory"
                  facts={[
                    ['Model', cpu?.model_name],
                    ['Architecture', cpu?.architecture],
                    ['Sockets', cpu?.socket_count],
                    ['Threads', cpu?.count],
                    ['Frequency', cpu?.frequency && `${Math.round(Number(cpu.frequency))} MHz`],
                    [
                      'Memory',
                      memory?.physical_mb
                        ? bytes(memory.physical_mb * 1024 ** 2)
                        : memory?.total && bytes(memory.total),
                    ],
                    ['Disks', disks?.length],
                    ['Network interfaces', interfaces?.length],
                    ['Flags', cpu?.flags && <span className="ferrite-small">{cpu.flags.join(' ')}</span>],
                  ]}
                />
              </GridItem>
            </Grid>
            <ExpandableSection toggleText="Everything that was found" className="ferrite-expand">
              <Json value={found} />
            </ExpandableSection>
          </>
        )
      }}
    </Asked>
  )
}
