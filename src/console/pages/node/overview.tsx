/** What the node is, whose it is, and how it is driven. */
import { ExpandableSection, Grid, GridItem, Label, LabelGroup } from '@patternfly/react-core'
import { Link } from 'react-router'
import { FactCard, Json, yesNo } from '../../parts/facts.tsx'
import { moment } from '../../parts/time.ts'
import type { TabProps } from '../node.tsx'

const interfaces = [
  'bios',
  'boot',
  'console',
  'deploy',
  'firmware',
  'inspect',
  'management',
  'network',
  'power',
  'raid',
  'rescue',
  'storage',
  'vendor',
] as const

export default function Overview({ node }: TabProps) {
  const { properties, instance_info, traits } = node
  const text = (value: unknown) =>
    value === undefined || value === null ? null : typeof value === 'object' ? JSON.stringify(value) : String(value)
  return (
    <>
      <Grid hasGutter lg={6}>
        <GridItem>
          <FactCard
            title="Node"
            facts={[
              [
                'UUID',
                <span className="ferrite-mono" key="uuid">
                  {node.uuid}
                </span>,
              ],
              ['Description', node.description],
              ['Resource class', node.resource_class],
              ['Traits', traits.length === 0 ? null : <Traits key="traits" traits={traits} />],
              ['Health', node.health],
              ['Boot mode', [node.boot_mode, node.secure_boot ? 'secure boot' : null].filter(Boolean).join(', ')],
              ['Protected', node.protected ? `yes${node.protected_reason ? `: ${node.protected_reason}` : ''}` : 'no'],
              ['Retired', node.retired ? `yes${node.retired_reason ? `: ${node.retired_reason}` : ''}` : 'no'],
              ['Created', moment(node.created_at)],
              ['Changed', moment(node.updated_at)],
            ]}
          />
        </GridItem>
        <GridItem>
          <FactCard
            title="Instance"
            facts={[
              ['Name', node.instance_name],
              ['UUID', node.instance_uuid],
              ['Image', text(instance_info.image_source)],
              ['Checksum', text(instance_info.image_os_hash_value ?? instance_info.image_checksum)],
              ['Format', text(instance_info.image_disk_format)],
              ['Allocation', node.allocation_uuid],
              ['Owner', node.owner],
              ['Lessee', node.lessee],
            ]}
          />
        </GridItem>
        <GridItem>
          <FactCard
            title="Hardware"
            facts={[
              ['Architecture', text(properties.cpu_arch)],
              ['CPUs', text(properties.cpus)],
              ['Memory', properties.memory_mb === undefined ? null : `${text(properties.memory_mb)} MiB`],
              ['Disk', properties.local_gb === undefined ? null : `${text(properties.local_gb)} GiB`],
              ['Capabilities', text(properties.capabilities)],
              ['Root device hints', text(properties.root_device)],
              ['Inspected', moment(node.inspection_finished_at)],
            ]}
          />
        </GridItem>
        <GridItem>
          <FactCard
            title="Service"
            facts={[
              [
                'Conductor',
                node.conductor && (
                  <Link key="conductor" to={`/nodes?conductor=${encodeURIComponent(node.conductor)}`}>
                    {node.conductor}
                  </Link>
                ),
              ],
              ['Group', node.conductor_group],
              ['Hardware type', node.driver],
              ['Automated cleaning', yesNo(node.automated_clean) ?? 'as the service has it'],
              ...interfaces.map(name => [`${name} interface`, text(node[`${name}_interface`])] as const),
            ]}
          />
        </GridItem>
      </Grid>
      {(
        [
          ['driver_info', node.driver_info],
          ['properties', properties],
          ['instance_info', instance_info],
          ['extra', node.extra],
          ['driver_internal_info', node.driver_internal_info],
        ] as const
      ).map(([name, value]) => (
        <ExpandableSection key={name} toggleText={name} className="ferrite-expand">
          <Json value={value} />
        </ExpandableSection>
      ))}
    </>
  )
}

function Traits({ traits }: { traits: readonly string[] }) {
  return (
    <LabelGroup aria-label="Traits" numLabels={6}>
      {traits.map(trait => (
        <Label key={trait} isCompact>
          {trait}
        </Label>
      ))}
    </LabelGroup>
  )
}
