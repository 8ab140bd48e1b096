/** Steps under a name, for cleaning and servicing. */
import { Label } from '@patternfly/react-core'
import { RecordPage } from '../parts/record-page.tsx'

interface Runbook {
  readonly uuid: string
  readonly name: string
  readonly description: string | null
  readonly steps: readonly { readonly interface: string; readonly step: string; readonly order: number }[]
  readonly traits?: readonly string[]
  readonly public: boolean
  readonly owner: string | null
  readonly disable_ramdisk: boolean
}

export default function Runbooks() {
  return (
    <RecordPage<Runbook>
      title="Runbooks"
      about="Lists of steps for cleaning and servicing, checked beforehand, for nodes that have one of the runbook’s traits."
      noun="runbook"
      path="/v1/runbooks"
      listName="runbooks"
      columns={[
        {
          label: 'Name',
          text: ({ name, description }) => `${name} ${description ?? ''}`,
          shown: ({ name, description }) => (
            <>
              {name}
              {description && <div className="ferrite-small">{description}</div>}
            </>
          ),
        },
        {
          label: 'Steps',
          text: ({ steps }) => steps.map(({ interface: type, step }) => `${type}.${step}`).join(', '),
          shown: ({ steps }) =>
            [...steps]
              .sort((a, b) => a.order - b.order)
              .map(({ interface: type, step, order }) => (
                <div key={`${order} ${type} ${step}`}>
                  {type}.{step}
                </div>
              )),
        },
        { label: 'Traits', text: ({ traits = [] }) => traits.join(', ') },
        {
          label: 'For',
          text: one => (one.public ? 'everybody' : (one.owner ?? 'administrators')),
          shown: one => (
            <Label isCompact color={one.public ? 'blue' : 'grey'}>
              {one.public ? 'everybody' : (one.owner ?? 'administrators')}
            </Label>
          ),
        },
        { label: 'Ramdisk', text: ({ disable_ramdisk: off }) => (off ? 'not booted' : 'as steps need it') },
      ]}
      template={{
        name: 'CUSTOM_WIPE',
        description: 'Erases all disks.',
        steps: [{ interface: 'deploy', step: 'erase_devices', args: {}, order: 1 }],
      }}
      hint="order says which step comes first. Its name is its first trait; others by: ferrite runbook trait add."
      empty="New runbook gives a list of steps a name."
      editable={['name', 'description', 'steps', 'disable_ramdisk', 'public', 'owner', 'extra']}
    />
  )
}
