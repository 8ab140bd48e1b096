/** A provision state, by colour, picture and word: what is fine, what works, what waits for somebody, what failed. */
import { Label, type LabelProps } from '@patternfly/react-core'
import BanIcon from '@patternfly/react-icons/dist/esm/icons/ban-icon'
import CheckCircleIcon from '@patternfly/react-icons/dist/esm/icons/check-circle-icon'
import CircleIcon from '@patternfly/react-icons/dist/esm/icons/circle-icon'
import ExclamationCircleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon'
import InProgressIcon from '@patternfly/react-icons/dist/esm/icons/in-progress-icon'
import OffIcon from '@patternfly/react-icons/dist/esm/icons/off-icon'
import PauseCircleIcon from '@patternfly/react-icons/dist/esm/icons/pause-circle-icon'
import PowerOffIcon from '@patternfly/react-icons/dist/esm/icons/power-off-icon'
import WrenchIcon from '@patternfly/react-icons/dist/esm/icons/wrench-icon'
import type { ReactElement } from 'react'
import { type ProvisionState, provision } from '#protocol/states.ts'

type Look = { readonly color: NonNullable<LabelProps['color']>; readonly icon: ReactElement }

const looks = {
  failed: { color: 'red', icon: <ExclamationCircleIcon /> },
  hold: { color: 'orange', icon: <PauseCircleIcon /> },
  working: { color: 'blue', icon: <InProgressIcon /> },
  active: { color: 'green', icon: <CheckCircleIcon /> },
  available: { color: 'teal', icon: <CheckCircleIcon /> },
  resting: { color: 'grey', icon: <CircleIcon /> },
} satisfies Record<string, Look>

export function lookOf(state: ProvisionState): Look {
  const { kind } = provision[state]
  if (kind === 'failed' || state === 'error') return looks.failed
  if (kind === 'hold') return looks.hold
  if (kind !== 'stable') return looks.working
  if (state === 'active') return looks.active
  return state === 'available' ? looks.available : looks.resting
}

export function StateLabel({ state, isCompact = true }: { state: ProvisionState; isCompact?: boolean }) {
  const { color, icon } = lookOf(state)
  return (
    <Label color={color} icon={icon} isCompact={isCompact} className="ferrite-state">
      {state}
    </Label>
  )
}

/** A power state; `target`: what it is being changed to. */
export function Power({ state, target }: { state: string | null; target?: string | null }) {
  const icon =
    state === 'power on' ? (
      <PowerOffIcon className="ferrite-power-on" />
    ) : state === 'error' ? (
      <ExclamationCircleIcon className="ferrite-bad" />
    ) : (
      <OffIcon className="ferrite-faint" />
    )
  const words = state === 'power on' ? 'on' : state === 'power off' ? 'off' : (state ?? 'unknown')
  return (
    <span className="ferrite-with-icon">
      {icon} {words}
      {target != null && ` → ${target.replace('power ', '')}`}
    </span>
  )
}

export function Maintenance({ reason }: { reason: string | null }) {
  return (
    <Label color="yellow" icon={<WrenchIcon />} isCompact title={reason ?? undefined}>
      maintenance
    </Label>
  )
}

export function Fault({ fault }: { fault: string }) {
  return (
    <Label color="red" icon={<BanIcon />} isCompact>
      {fault}
    </Label>
  )
}
