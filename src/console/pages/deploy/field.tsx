/** A field of the wizard's forms: label, text, and below it a hint, or what is wrong with what was typed. */
import { FormGroup, FormHelperText, HelperText, HelperTextItem, TextArea, TextInput } from '@patternfly/react-core'

interface Props {
  readonly id: string
  readonly label: string
  readonly hint: string
  readonly value: string
  readonly onChange: (value: string) => void
  readonly problem?: string | undefined
  /** Lines; one where it is not said. */
  readonly rows?: number
  /** Id of a datalist. */
  readonly list?: string
}

export function Field({ id, label, hint, value, onChange, problem, rows, list }: Props) {
  const validated = problem === undefined ? 'default' : 'error'
  const input = {
    id: `deploy-${id}`,
    value,
    validated,
    onChange: (_: unknown, text: string) => onChange(text),
    'aria-describedby': `deploy-${id}-hint`,
  } as const
  return (
    <FormGroup label={label} fieldId={`deploy-${id}`}>
      {rows === undefined ? (
        <TextInput {...input} {...(list ? { list } : {})} />
      ) : (
        <TextArea {...input} className="ferrite-mono" rows={rows} resizeOrientation="vertical" spellCheck={false} />
      )}
      <FormHelperText>
        <HelperText id={`deploy-${id}-hint`}>
          <HelperTextItem variant={validated}>{problem ?? hint}</HelperTextItem>
        </HelperText>
      </FormHelperText>
    </FormGroup>
  )
}
