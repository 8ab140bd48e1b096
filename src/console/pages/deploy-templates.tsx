/** Steps that a deployment gets by a trait of its instance. */
import { RecordPage } from '../parts/record-page.tsx'
import { moment } from '../parts/time.ts'

interface DeployTemplate {
  readonly uuid: string
  readonly name: string
  readonly steps: readonly { readonly interface: string; readonly step: string; readonly priority: number }[]
  readonly created_at: string
}

export default function DeployTemplates() {
  return (
    <RecordPage<DeployTemplate>
      title="Deploy templates"
      about="A template has the name of a trait: an instance that asks for the trait is deployed with the template’s steps."
      noun="deploy template"
      path="/v1/deploy_templates"
      listName="deploy_templates"
      columns={[
        { label: 'Name', text: ({ name }) => name },
        {
          label: 'Steps',
          text: ({ steps }) => steps.map(({ interface: type, step }) => `${type}.${step}`).join(', '),
          shown: ({ steps }) =>
            steps.map(({ interface: type, step, priority }, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a step may be listed twice, and the list does not change
              <div key={index}>
                {type}.{step} <span className="ferrite-subtle">at priority {priority}</span>
              </div>
            )),
        },
        { label: 'Made', text: ({ created_at }) => created_at, shown: ({ created_at }) => moment(created_at) },
      ]}
      template={{
        name: 'CUSTOM_HYPERTHREADING',
        steps: [
          {
            interface: 'bios',
            step: 'apply_configuration',
            args: { settings: [{ name: 'LogicalProc', value: 'Enabled' }] },
            priority: 150,
          },
        ],
      }}
      hint="Steps with a priority of 100 and more run before the agent boots; 99 to 61 beside the writing of the image."
      empty="New deploy template ties steps to a trait."
      editable={['name', 'steps', 'extra']}
    />
  )
}
