/**
 * Deploying a node: which one, which image, and then what would happen, before it does. The plan is made anew with each
 * change, as if the node had what the form says; only the last button writes anything.
 */
import {
  Alert,
  Button,
  Form,
  FormGroup,
  FormHelperText,
  FormSelect,
  FormSelectOption,
  Grid,
  GridItem,
  HelperText,
  HelperTextItem,
  PageSection,
  TextArea,
  TextInput,
  Title,
} from '@patternfly/react-core'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useDeferredValue, useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import type { Plan } from '#protocol/plan.ts'
import { verbTarget } from '#protocol/states.ts'
import { ask, part } from '../api.ts'
import { useFleet } from '../fleet.ts'
import { Asked } from '../parts/asked.tsx'
import { FaultAlert } from '../parts/fault-alert.tsx'
import { PlanView } from './deploy/plan-view.tsx'

interface Wish {
  readonly source: string
  readonly checksum: string
  readonly format: string
  readonly rootSerial: string
  readonly hostName: string
  readonly userData: string
}

const none: Wish = { source: '', checksum: '', format: '', rootSerial: '', hostName: '', userData: '' }

export default function Deploy() {
  const { data: fleet } = useFleet()
  const [query, setQuery] = useSearchParams()
  const uuid = query.get('node') ?? ''
  const [wish, setWish] = useState(none)
  const change = (some: Partial<Wish>) => setWish(now => ({ ...now, ...some }))
  const node = fleet?.nodes.find(one => one.uuid === uuid || one.name === uuid)
  const ready = (fleet?.nodes ?? []).filter(one => verbTarget(one.provision_state, 'active') !== undefined)
  const choices = node && !ready.includes(node) ? [node, ...ready] : ready
  const target = node?.provision_state === 'active' ? 'rebuild' : 'active'
  const deployment = useMutation({ mutationFn: () => deploy(node?.uuid ?? '', target, wish) })
  return (
    <PageSection isFilled>
      <div className="ferrite-heading">
        <Title headingLevel="h1">Deploy</Title>
        <p className="ferrite-subtle">
          What would happen is shown before it does: disks by their serial numbers, reboots, time.
        </p>
      </div>
      <Grid hasGutter lg={6}>
        <GridItem>
          <Form
            onSubmit={event => {
              event.preventDefault()
              deployment.mutate()
            }}
          >
            <FormGroup label="Node" fieldId="deploy-node" isRequired>
              <FormSelect
                id="deploy-node"
                value={node?.uuid ?? ''}
                onChange={(_, value) => {
                  deployment.reset()
                  setQuery(value === '' ? {} : { node: value }, { replace: true })
                }}
              >
                <FormSelectOption value="" label={fleet ? `Choose one of ${ready.length} …` : 'Reading the fleet …'} />
                {choices.map(one => (
                  <FormSelectOption
                    key={one.uuid}
                    value={one.uuid}
                    label={`${one.name ?? one.uuid} (${one.provision_state}${one.resource_class ? `, ${one.resource_class}` : ''})`}
                  />
                ))}
              </FormSelect>
            </FormGroup>
            <Text
              id="source"
              label="Image"
              hint="URL, glance://UUID or oci://…; empty: what the node has already"
              value={wish.source}
              onChange={source => change({ source })}
            />
            <Text
              id="checksum"
              label="Checksum"
              hint="SHA-256 or SHA-512 in hex, or the URL of a file of checksums"
              value={wish.checksum}
              onChange={checksum => change({ checksum })}
            />
            <FormGroup label="Format" fieldId="deploy-format">
              <FormSelect id="deploy-format" value={wish.format} onChange={(_, format) => change({ format })}>
                <FormSelectOption value="" label="as its content says" />
                <FormSelectOption value="raw" label="raw" />
                <FormSelectOption value="qcow2" label="qcow2" />
              </FormSelect>
            </FormGroup>
            <Text
              id="serial"
              label="Serial number of the disk"
              hint="Empty: by the node’s hints, else the smallest of at least 4 GiB"
              value={wish.rootSerial}
              onChange={rootSerial => change({ rootSerial })}
            />
            <Text
              id="host"
              label="Host name"
              hint="For the config drive"
              value={wish.hostName}
              onChange={hostName => change({ hostName })}
            />
            <FormGroup label="User data" fieldId="deploy-user-data">
              <TextArea
                id="deploy-user-data"
                className="ferrite-mono"
                rows={5}
                resizeOrientation="vertical"
                spellCheck={false}
                value={wish.userData}
                onChange={(_, userData) => change({ userData })}
              />
            </FormGroup>
            {deployment.error && <FaultAlert error={deployment.error} what={`deploy ${node?.name ?? uuid}`} />}
            {deployment.isSuccess && node && (
              <Alert variant="success" isInline title="It has begun">
                <Link to={`/nodes/${node.uuid}`}>Watch {node.name ?? node.uuid}</Link>
              </Alert>
            )}
            <div>
              <Button
                type="submit"
                variant={target === 'rebuild' ? 'danger' : 'primary'}
                isDisabled={!node || deployment.isSuccess}
                isLoading={deployment.isPending}
              >
                {target === 'rebuild' ? 'Rebuild' : 'Deploy'}
              </Button>
            </div>
          </Form>
        </GridItem>
        <GridItem>
          {node ? (
            <DryRun uuid={node.uuid} state={node.provision_state} target={target} wish={wish} />
          ) : (
            <p className="ferrite-subtle">Choose a node, and what would happen to it is shown here.</p>
          )}
        </GridItem>
      </Grid>
    </PageSection>
  )
}

function DryRun({ uuid, state, target, wish }: { uuid: string; state: string; target: string; wish: Wish }) {
  // Typing is not waited for: a plan asks the image's source.
  const settled = useDeferredValue(wish)
  const query = useQuery({
    queryKey: ['node', uuid, 'plan', state, target, settled],
    queryFn: async ({ signal }) => {
      await pause(400, signal)
      const configdrive = configDriveOf(settled)
      const body = { target, instance_info: instanceInfoOf(settled), ...(configdrive ? { configdrive } : {}) }
      return ask<Plan>('POST', `/v1/nodes/${part(uuid)}/plan`, { body, signal })
    },
    placeholderData: before => before,
    staleTime: 30_000,
  })
  return (
    <Asked query={query} what="plan the deployment">
      {plan => <PlanView plan={plan} />}
    </Asked>
  )
}

interface TextProps {
  readonly id: string
  readonly label: string
  readonly hint: string
  readonly value: string
  readonly onChange: (value: string) => void
}

function Text({ id, label, hint, value, onChange }: TextProps) {
  return (
    <FormGroup label={label} fieldId={`deploy-${id}`}>
      <TextInput
        id={`deploy-${id}`}
        value={value}
        onChange={(_, text) => onChange(text)}
        aria-describedby={`deploy-${id}-hint`}
      />
      <FormHelperText>
        <HelperText id={`deploy-${id}-hint`}>
          <HelperTextItem>{hint}</HelperTextItem>
        </HelperText>
      </FormHelperText>
    </FormGroup>
  )
}

/** Entries of instance_info that the form sets. */
function instanceInfoOf({ source, checksum, format, rootSerial }: Wish): Record<string, unknown> {
  const isHex = /^[0-9a-f]+$/i.test(checksum)
  return {
    ...(source === '' ? {} : { image_source: source.trim() }),
    ...(checksum === ''
      ? {}
      : isHex && checksum.length !== 32
        ? { image_os_hash_algo: checksum.length === 128 ? 'sha512' : 'sha256', image_os_hash_value: checksum }
        : { image_checksum: checksum.trim() }),
    ...(format === '' ? {} : { image_disk_format: format }),
    ...(rootSerial === '' ? {} : { root_device: { serial: rootSerial.trim() } }),
  }
}

function configDriveOf({ hostName, userData }: Wish): object | undefined {
  if (hostName === '' && userData === '') return undefined
  return {
    meta_data: hostName === '' ? {} : { hostname: hostName, name: hostName },
    ...(userData === '' ? {} : { user_data: userData }),
  }
}

async function deploy(uuid: string, target: string, wish: Wish): Promise<void> {
  const info = Object.entries(instanceInfoOf(wish))
  if (info.length > 0) {
    const body = info.map(([name, value]) => ({ op: 'add', path: `/instance_info/${name}`, value }))
    await ask('PATCH', `/v1/nodes/${part(uuid)}`, { body })
  }
  const configdrive = configDriveOf(wish)
  await ask('PUT', `/v1/nodes/${part(uuid)}/states/provision`, {
    body: { target, ...(configdrive ? { configdrive } : {}) },
  })
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })
}
