/** Words of the management interface: lights of a machine, and drives that its BMC shows it. Source: REST API reference. */

export const indicatorComponents = ['chassis', 'system', 'disk', 'power', 'nic'] as const
export type IndicatorComponent = (typeof indicatorComponents)[number]
export const indicatorStates = ['off', 'on', 'blinking'] as const
export type IndicatorState = (typeof indicatorStates)[number]

/** A light of a machine. */
export interface Indicator {
  component: IndicatorComponent
  name: string
  state: IndicatorState
  /** Those that it can show. */
  states: readonly IndicatorState[]
}

export const mediaDevices = ['cdrom', 'disk', 'floppy'] as const
export type MediaDevice = (typeof mediaDevices)[number]
