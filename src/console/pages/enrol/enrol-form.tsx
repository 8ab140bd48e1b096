/**
 * The way from a BMC's address to a node: the hardware type, what it reads from driver_info (as the driver declares it), a
 * name and ports, and then the node is made and taken under management.
 */
import {
  Alert,
  Checkbox,
  Form,
  FormGroup,
  FormHelperText,
  FormSelect,
  FormSelectOption,
  HelperText,
  HelperTextItem,
  TextInput,
  Wizard,
  WizardStep,
} from '@patternfly/react-core'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import { ask, get, part } from '../../api.ts'
import { Asked } from '../../parts/asked.tsx'
import { Facts } from '../../parts/facts.tsx'
import { FaultAlert, messageOf } from '../../parts/fault-alert.tsx'

const macPattern = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i
const hidden = '••••••'

interface Draft {
  readonly driver: string
  readonly info: Readonly<Record<string, string>>
  readonly name: string
  readonly resourceClass: string
  readonly macs: string
  readonly manages: boolean
}

export function EnrolForm({ mac }: { mac: string | undefined }) {
  const [draft, setDraft] = useState<Draft>({
    driver: '',
    info: {},
    name: '',
    resourceClass: '',
    macs: mac ?? '',
    manages: true,
  })
  const change = (some: Partial<Draft>) => setDraft(now => ({ ...now, ...some }))
  const macs = draft.macs.split(/[\s,]+/).filter(Boolean)
  const wrongMac = macs.find(one => !macPattern.test(one))
  const making = useMutation({ mutationFn: () => enrol(draft, macs) })
  const canGo = draft.driver !== ''
  return (
    <>
      {making.error && <FaultAlert error={making.error} what="enrol the machine" />}
      {making.data && <Outcome enrolled={making.data} manages={draft.manages} />}
      <Wizard height={520} onSave={() => making.mutate()} isVisitRequired>
        <WizardStep id="driver" name="Hardware type" footer={{ isNextDisabled: !canGo, isCancelHidden: true }}>
          <DriverChoice driver={draft.driver} onChange={driver => change({ driver, info: {} })} />
        </WizardStep>
        <WizardStep id="bmc" name="BMC" footer={{ isCancelHidden: true }} isDisabled={!canGo}>
          {draft.driver !== '' && (
            <DriverInfo driver={draft.driver} info={draft.info} onChange={info => change({ info })} />
          )}
        </WizardStep>
        <WizardStep
          id="node"
          name="Name and ports"
          footer={{ isNextDisabled: wrongMac !== undefined, isCancelHidden: true }}
          isDisabled={!canGo}
        >
          <Form>
            <FormGroup label="Name" fieldId="enrol-name">
              <TextInput id="enrol-name" value={draft.name} onChange={(_, name) => change({ name })} />
            </FormGroup>
            <FormGroup label="Resource class" fieldId="enrol-class">
              <TextInput
                id="enrol-class"
                value={draft.resourceClass}
                onChange={(_, resourceClass) => change({ resourceClass })}
              />
            </FormGroup>
            <FormGroup label="MAC addresses of its ports" fieldId="enrol-macs">
              <TextInput
                id="enrol-macs"
                value={draft.macs}
                validated={wrongMac === undefined ? 'default' : 'error'}
                onChange={(_, text) => change({ macs: text })}
                aria-describedby="enrol-macs-hint"
              />
              <Hint
                id="enrol-macs-hint"
                isError={wrongMac !== undefined}
                text={
                  wrongMac === undefined
                    ? 'Separated by commas. None: inspection makes ports of the cards that the BMC knows.'
                    : `${wrongMac} is no MAC address; expected 52:54:00:12:34:56`
                }
              />
            </FormGroup>
            <Checkbox
              id="enrol-manage"
              label="Take it under management at once: its BMC is asked for its power state"
              isChecked={draft.manages}
              onChange={(_, manages) => change({ manages })}
            />
          </Form>
        </WizardStep>
        <WizardStep
          id="review"
          name="Review"
          footer={{
            nextButtonText: 'Enrol',
            isNextDisabled: making.isPending || making.isSuccess,
            isCancelHidden: true,
          }}
          isDisabled={!canGo}
        >
          <Facts
            facts={[
              ['Hardware type', draft.driver],
              ...Object.entries(draft.info).map(
                ([name, value]) => [name, /passw|secret|key/i.test(name) && value !== '' ? hidden : value] as const,
              ),
              ['Name', draft.name],
              ['Resource class', draft.resourceClass],
              ['Ports', macs.join(', ')],
              ['Then', draft.manages ? 'taken under management' : 'left as it is'],
            ]}
          />
        </WizardStep>
      </Wizard>
    </>
  )
}

function Outcome({ enrolled: { uuid, name, problem }, manages }: { enrolled: Enrolled; manages: boolean }) {
  const title = `Enrolled as ${name ?? uuid}`
  const page = <Link to={`/nodes/${uuid}`}>Its page</Link>
  if (problem !== null) {
    return (
      <Alert variant="warning" component="h2" isInline title={`${title}, and then something was refused`}>
        <p>{messageOf(problem)}</p>
        <p>{page} lets it be mended; it need not be enrolled again.</p>
      </Alert>
    )
  }
  return (
    <Alert variant="success" component="h2" isInline title={title}>
      <p>
        {page} shows what it does{manages ? ': its BMC is asked now.' : '.'}
      </p>
    </Alert>
  )
}

interface Enrolled {
  readonly uuid: string
  readonly name: string | null
  /** What was refused after the node had been made; it is there all the same. */
  readonly problem: unknown
}

/** The node, its ports, and the first verb. */
async function enrol(draft: Draft, macs: readonly string[]): Promise<Enrolled> {
  const driver_info = Object.fromEntries(Object.entries(draft.info).filter(([, value]) => value !== ''))
  const made = await ask<{ uuid: string; name: string | null }>('POST', '/v1/nodes', {
    body: {
      driver: draft.driver,
      driver_info,
      ...(draft.name === '' ? {} : { name: draft.name }),
      ...(draft.resourceClass === '' ? {} : { resource_class: draft.resourceClass }),
    },
  })
  try {
    for (const address of macs) await ask('POST', '/v1/ports', { body: { node_uuid: made.uuid, address } })
    if (draft.manages) await ask('PUT', `/v1/nodes/${part(made.uuid)}/states/provision`, { body: { target: 'manage' } })
    return { ...made, problem: null }
  } catch (problem) {
    return { ...made, problem }
  }
}

interface Driver {
  readonly name: string
}

function DriverChoice({ driver, onChange }: { driver: string; onChange: (driver: string) => void }) {
  const query = useQuery({
    queryKey: ['drivers'],
    queryFn: async ({ signal }) => (await get<{ drivers: Driver[] }>('/v1/drivers', { signal })).drivers,
  })
  return (
    <Asked query={query} what="list the hardware types">
      {drivers => (
        <Form>
          <FormGroup label="Hardware type" fieldId="enrol-driver" isRequired>
            <FormSelect id="enrol-driver" value={driver} onChange={(_, value) => onChange(value)}>
              <FormSelectOption value="" label="Choose …" isPlaceholder />
              {drivers.map(({ name }) => (
                <FormSelectOption key={name} value={name} label={name} />
              ))}
            </FormSelect>
            <Hint id="enrol-driver-hint" text="redfish for machines of the last ten years, ipmi for older ones." />
          </FormGroup>
        </Form>
      )}
    </Asked>
  )
}

interface InfoProps {
  readonly driver: string
  readonly info: Readonly<Record<string, string>>
  readonly onChange: (info: Readonly<Record<string, string>>) => void
}

/** How the driver calls what every BMC wants to know: where it is, and who asks. */
function accessOf(names: readonly string[]): string[] {
  const prefix = names.find(name => name.endsWith('_address'))?.replace(/address$/, '') ?? ''
  return ['address', 'username', 'password'].map(what => prefix + what)
}

/** The fields that the driver declares; those of its BMC first, the rest on demand. */
function DriverInfo({ driver, info, onChange }: InfoProps) {
  const [all, setAll] = useState(false)
  const query = useQuery({
    queryKey: ['drivers', driver, 'properties'],
    queryFn: ({ signal }) =>
      get<Record<string, string>>('/v1/drivers/properties', { query: { driver_name: driver }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
  })
  return (
    <Asked query={query} what={`read what ${driver} needs`}>
      {properties => {
        const names = Object.keys(properties)
        const access = accessOf(names)
        const first = names.filter(name => access.includes(name) || isNeeded(properties[name]) !== '')
        const shown = all || first.length === 0 ? names : first
        return (
          <Form>
            {shown.map(name => (
              <FormGroup
                key={name}
                label={name}
                fieldId={`info-${name}`}
                isRequired={isNeeded(properties[name]) !== ''}
              >
                <TextInput
                  id={`info-${name}`}
                  type={/passw|secret|_key$/i.test(name) ? 'password' : 'text'}
                  autoComplete="off"
                  value={info[name] ?? ''}
                  onChange={(_, value) => onChange({ ...info, [name]: value })}
                  aria-describedby={`info-${name}-hint`}
                />
                <Hint id={`info-${name}-hint`} text={properties[name] ?? ''} />
              </FormGroup>
            ))}
            {shown.length < names.length && (
              <Checkbox
                id="info-all"
                label={`Show all ${names.length} settings`}
                isChecked={all}
                onChange={(_, on) => setAll(on)}
              />
            )}
          </Form>
        )
      }}
    </Asked>
  )
}

/** Drivers say "Required." in the description; '' where not. */
const isNeeded = (description = '') =>
  /\brequired\b/i.test(description) && !/not required/i.test(description) ? 'required' : ''

function Hint({ id, text, isError = false }: { id: string; text: string; isError?: boolean }) {
  return (
    <FormHelperText>
      <HelperText id={id} isLiveRegion={isError}>
        <HelperTextItem variant={isError ? 'error' : 'default'}>{text}</HelperTextItem>
      </HelperText>
    </FormHelperText>
  )
}
