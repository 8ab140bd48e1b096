/** What is deployed, and how: the image; then disk, host name, user data, deploy templates and steps. */
import { Checkbox, Form, FormGroup, FormSelect, FormSelectOption } from '@patternfly/react-core'
import { useQuery } from '@tanstack/react-query'
import { all, get } from '../../api.ts'
import { Field } from './field.tsx'
import { checksumProblem, stepsProblem, type Wish } from './wish.ts'

interface Props {
  readonly wish: Wish
  readonly onChange: (some: Partial<Wish>) => void
}

const stepsHint =
  'Besides those of the driver: a list in JSON, such as [{"interface": "deploy", "step": "erase_devices_metadata", "args": {}, "priority": 90}]'

export function ImageForm({ wish, onChange }: Props) {
  const { data: known } = useQuery({
    queryKey: ['images', 'sources'],
    // Not everybody may see them, and nobody needs to.
    queryFn: ({ signal }) => get<{ images: { source: string }[] }>('/v1/images', { signal }).catch(() => null),
  })
  const sources = [...new Set(known?.images.map(({ source }) => source))]
  return (
    <Form onSubmit={event => event.preventDefault()}>
      <Field
        id="source"
        label="Image"
        hint="URL, glance://UUID or oci://…; empty: what each node has already"
        value={wish.source}
        onChange={source => onChange({ source })}
        list="deploy-sources"
      />
      <datalist id="deploy-sources">
        {sources.map(source => (
          <option key={source} value={source} />
        ))}
      </datalist>
      <Field
        id="checksum"
        label="Checksum"
        hint="SHA-256 or SHA-512 in hexadecimal digits, or the URL of a file of checksums"
        value={wish.checksum}
        problem={checksumProblem(wish)}
        onChange={checksum => onChange({ checksum })}
      />
      <FormGroup label="Format" fieldId="deploy-format">
        <FormSelect id="deploy-format" value={wish.format} onChange={(_, format) => onChange({ format })}>
          <FormSelectOption value="" label="as its content says" />
          <FormSelectOption value="raw" label="raw" />
          <FormSelectOption value="qcow2" label="qcow2" />
        </FormSelect>
      </FormGroup>
    </Form>
  )
}

/** @param isOne of one node more can be said than of several */
export function OptionsForm({ wish, onChange, isOne }: Props & { isOne: boolean }) {
  return (
    <Form onSubmit={event => event.preventDefault()}>
      {isOne && (
        <Field
          id="serial"
          label="Serial number of the disk"
          hint="Empty: by the node’s hints, else the smallest of at least 4 GiB"
          value={wish.rootSerial}
          onChange={rootSerial => onChange({ rootSerial })}
        />
      )}
      <Checkbox
        id="deploy-named"
        label="Host name is the name of the node"
        isChecked={wish.isNamedByNode}
        onChange={(_, isNamedByNode) => onChange({ isNamedByNode })}
      />
      {isOne && !wish.isNamedByNode && (
        <Field
          id="host"
          label="Host name"
          hint="For the config drive; empty: the image decides"
          value={wish.hostName}
          onChange={hostName => onChange({ hostName })}
        />
      )}
      <Field
        id="user-data"
        label="User data"
        hint="For cloud-init and its like, by the config drive"
        rows={4}
        value={wish.userData}
        onChange={userData => onChange({ userData })}
      />
      <Templates wish={wish} onChange={onChange} />
      <Field
        id="steps"
        label="Steps"
        hint={stepsHint}
        rows={4}
        value={wish.steps}
        problem={stepsProblem(wish)}
        onChange={steps => onChange({ steps })}
      />
    </Form>
  )
}

function Templates({ wish: { templates }, onChange }: Props) {
  const { data: known = [] } = useQuery({
    queryKey: ['deploy templates', 'names'],
    queryFn: ({ signal }) =>
      all<{ name: string }>('/v1/deploy_templates', 'deploy_templates', { query: { fields: ['name'] }, signal }).catch(
        () => [], // Not everybody may see them.
      ),
  })
  if (known.length === 0) return null
  return (
    <FormGroup role="group" label="Deploy templates, for nodes that have their trait" fieldId="deploy-templates">
      {known.map(({ name }) => (
        <Checkbox
          key={name}
          id={`deploy-template-${name}`}
          label={name}
          isChecked={templates.includes(name)}
          onChange={(_, isChecked) =>
            onChange({ templates: isChecked ? [...templates, name] : templates.filter(one => one !== name) })
          }
        />
      ))}
    </FormGroup>
  )
}
