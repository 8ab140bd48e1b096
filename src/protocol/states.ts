/**
 * The life of a node as one table. The API's verbs, the flow engine's moves, the guards on updates and deletion, the
 * CLI's help and the docs' picture all read these rows; no other file lists states for itself.
 *
 * Source: ironic/common/states.py and state_machine.py (behaviour restated); REST API reference, "Provision states".
 */

interface Row {
  /**
   * `stable`: rests until someone asks; `transitional`: the conductor is working; `wait`: the conductor waits for the
   * agent; `hold`: a step asked to wait for an operator; `failed`: rests, something went wrong.
   */
  readonly kind: 'stable' | 'transitional' | 'wait' | 'hold' | 'failed'
  /** What target_provision_state shows in this state; a manual clean shows `manageable` instead. */
  readonly target?: string
  /** Where each event leads. */
  readonly on: Readonly<Record<string, string>>
  /** May the node be patched here (REST API reference, "When may a node be patched"). */
  readonly patch: boolean
  /** May the ramdisk look the node up: always, with fast track only, or never. */
  readonly lookup: 'yes' | 'fast track' | 'no'
}

/** Refuses at compile time a target that is not a row of the table. */
function machine<const T extends Record<string, Row & { on: Record<string, keyof T> }>>(rows: T): T {
  return rows
}

export const provision = machine({
  enroll: { kind: 'stable', patch: true, lookup: 'fast track', on: { manage: 'verifying' } },
  verifying: {
    kind: 'transitional',
    target: 'manageable',
    patch: true,
    lookup: 'no',
    on: { done: 'manageable', fail: 'enroll' },
  },
  manageable: {
    kind: 'stable',
    patch: true,
    lookup: 'fast track',
    on: { provide: 'cleaning', clean: 'cleaning', inspect: 'inspecting', adopt: 'adopting' },
  },
  inspecting: {
    kind: 'transitional',
    target: 'manageable',
    patch: true,
    lookup: 'yes',
    on: { done: 'manageable', fail: 'inspect failed', wait: 'inspect wait' },
  },
  'inspect wait': {
    kind: 'wait',
    target: 'manageable',
    patch: true,
    lookup: 'yes',
    on: { done: 'manageable', fail: 'inspect failed', abort: 'inspect failed', resume: 'inspecting' },
  },
  'inspect failed': {
    kind: 'failed',
    target: 'manageable',
    patch: true,
    lookup: 'no',
    on: { manage: 'manageable', inspect: 'inspecting' },
  },
  cleaning: {
    kind: 'transitional',
    target: 'available',
    patch: false,
    lookup: 'yes',
    on: { done: 'available', fail: 'clean failed', wait: 'clean wait', hold: 'clean hold', manage: 'manageable' },
  },
  'clean wait': {
    kind: 'wait',
    target: 'available',
    patch: false,
    lookup: 'yes',
    on: { fail: 'clean failed', abort: 'clean failed', hold: 'clean hold', resume: 'cleaning' },
  },
  'clean hold': {
    kind: 'hold',
    target: 'available',
    patch: false,
    lookup: 'no',
    on: { abort: 'clean failed', unhold: 'clean wait' },
  },
  'clean failed': { kind: 'failed', target: 'available', patch: true, lookup: 'no', on: { manage: 'manageable' } },
  available: {
    kind: 'stable',
    patch: true,
    lookup: 'fast track',
    on: { deploy: 'deploying', manage: 'manageable' },
  },
  deploying: {
    kind: 'transitional',
    target: 'active',
    patch: false,
    lookup: 'yes',
    on: { fail: 'deploy failed', wait: 'wait call-back', hold: 'deploy hold', done: 'active' },
  },
  'wait call-back': {
    kind: 'wait',
    target: 'active',
    patch: false,
    lookup: 'yes',
    on: { hold: 'deploy hold', resume: 'deploying', fail: 'deploy failed', abort: 'deploy failed', delete: 'deleting' },
  },
  'deploy hold': {
    kind: 'hold',
    target: 'active',
    patch: false,
    lookup: 'no',
    on: { unhold: 'wait call-back', abort: 'deploy failed' },
  },
  'deploy failed': {
    kind: 'failed',
    target: 'active',
    patch: true,
    lookup: 'no',
    on: { rebuild: 'deploying', deploy: 'deploying', delete: 'deleting' },
  },
  active: {
    kind: 'stable',
    patch: true,
    lookup: 'no',
    on: { rebuild: 'deploying', delete: 'deleting', rescue: 'rescuing', service: 'servicing' },
  },
  servicing: {
    kind: 'transitional',
    target: 'active',
    patch: false,
    lookup: 'fast track',
    on: { done: 'active', fail: 'service failed', wait: 'service wait', hold: 'service hold' },
  },
  'service wait': {
    kind: 'wait',
    target: 'active',
    patch: false,
    lookup: 'yes',
    on: {
      hold: 'service hold',
      resume: 'servicing',
      fail: 'service failed',
      abort: 'service failed',
      delete: 'deleting',
    },
  },
  'service hold': {
    kind: 'hold',
    target: 'active',
    patch: true,
    lookup: 'fast track',
    on: { service: 'servicing', unhold: 'service wait', fail: 'service failed', abort: 'service failed' },
  },
  'service failed': {
    kind: 'failed',
    target: 'active',
    patch: true,
    lookup: 'no',
    on: {
      service: 'servicing',
      rescue: 'rescuing',
      wait: 'service wait',
      hold: 'service hold',
      delete: 'deleting',
      abort: 'active',
    },
  },
  rescuing: {
    kind: 'transitional',
    target: 'rescue',
    patch: false,
    lookup: 'yes',
    on: { done: 'rescue', wait: 'rescue wait', fail: 'rescue failed' },
  },
  'rescue wait': {
    kind: 'wait',
    target: 'rescue',
    patch: false,
    lookup: 'yes',
    on: { resume: 'rescuing', fail: 'rescue failed', abort: 'rescue failed', delete: 'deleting' },
  },
  rescue: {
    kind: 'stable',
    patch: true,
    lookup: 'no',
    on: { rescue: 'rescuing', delete: 'deleting', unrescue: 'unrescuing' },
  },
  'rescue failed': {
    kind: 'failed',
    target: 'rescue',
    patch: true,
    lookup: 'no',
    on: { rescue: 'rescuing', unrescue: 'unrescuing', delete: 'deleting' },
  },
  unrescuing: {
    kind: 'transitional',
    target: 'active',
    patch: false,
    lookup: 'no',
    on: { done: 'active', fail: 'unrescue failed' },
  },
  'unrescue failed': {
    kind: 'failed',
    target: 'active',
    patch: true,
    lookup: 'no',
    on: { rescue: 'rescuing', unrescue: 'unrescuing', delete: 'deleting' },
  },
  deleting: {
    kind: 'transitional',
    target: 'available',
    patch: false,
    lookup: 'no',
    on: { fail: 'error', clean: 'cleaning' },
  },
  error: { kind: 'stable', patch: true, lookup: 'no', on: { rebuild: 'deploying', delete: 'deleting' } },
  adopting: {
    kind: 'transitional',
    target: 'active',
    patch: false,
    lookup: 'no',
    on: { done: 'active', fail: 'adopt failed' },
  },
  'adopt failed': {
    kind: 'failed',
    target: 'active',
    patch: true,
    lookup: 'no',
    on: { adopt: 'adopting', manage: 'manageable' },
  },
})

export type ProvisionState = keyof typeof provision
export const provisionStates = Object.keys(provision) as ProvisionState[] // keys of the literal table above

/**
 * The verbs of PUT /v1/nodes/{node}/states/provision: the event each fires, the microversion it came with, whether it
 * is refused in maintenance, and what it does in English. The states it is accepted in follow from the table.
 */
export const verbs = {
  active: { event: 'deploy', from: '1.1', inMaintenance: 'refused', means: 'deploy {}' },
  deploy: { event: 'deploy', from: '1.73', inMaintenance: 'refused', means: 'deploy {}' },
  rebuild: { event: 'rebuild', from: '1.1', inMaintenance: 'refused', means: 'rebuild {}' },
  deleted: { event: 'delete', from: '1.1', inMaintenance: 'allowed', means: 'undeploy {}' },
  undeploy: { event: 'delete', from: '1.1', inMaintenance: 'allowed', means: 'undeploy {}' },
  manage: { event: 'manage', from: '1.4', inMaintenance: 'allowed', means: 'manage {}' },
  provide: { event: 'provide', from: '1.4', inMaintenance: 'by option', means: 'make {} available' },
  inspect: { event: 'inspect', from: '1.6', inMaintenance: 'allowed', means: 'inspect {}' },
  abort: { event: 'abort', from: '1.13', inMaintenance: 'allowed', means: 'abort the work on {}' },
  clean: { event: 'clean', from: '1.15', inMaintenance: 'refused', means: 'clean {}' },
  adopt: { event: 'adopt', from: '1.17', inMaintenance: 'allowed', means: 'adopt {}' },
  rescue: { event: 'rescue', from: '1.38', inMaintenance: 'refused', means: 'rescue {}' },
  unrescue: { event: 'unrescue', from: '1.38', inMaintenance: 'refused', means: 'end the rescue of {}' },
  unhold: { event: 'unhold', from: '1.85', inMaintenance: 'allowed', means: 'end the hold of {}' },
  service: { event: 'service', from: '1.87', inMaintenance: 'refused', means: 'service {}' },
} as const
export type Verb = keyof typeof verbs

/** What `verb` does to a node, to follow "Cannot": the API's own words (`deleted`, `active`) are no English verbs. */
export function attemptTo(verb: Verb, nodeUuid: string): string {
  return verbs[verb].means.replace('{}', `node ${nodeUuid}`)
}

/** Events that also name a verb but, from these states, belong to the service alone. */
const internal: Partial<Record<ProvisionState, readonly string[]>> = { cleaning: ['manage'], deleting: ['clean'] }

/** Where `event` leads from `state`; undefined when the table has no such move. */
export function target(state: ProvisionState, event: string): ProvisionState | undefined {
  const on: Readonly<Record<string, ProvisionState>> = provision[state].on
  return Object.hasOwn(on, event) ? on[event] : undefined
}

/** Where `verb`, asked through the API, leads from `state`; undefined when it is not possible there. */
export function verbTarget(state: ProvisionState, verb: Verb): ProvisionState | undefined {
  const { event } = verbs[verb]
  if (internal[state]?.includes(event)) return undefined
  return target(state, event)
}

/** target_provision_state as shown in `state`. */
export function stateTarget(state: ProvisionState): ProvisionState | null {
  const row: Row = provision[state]
  return (row.target as ProvisionState | undefined) ?? null // the table's targets are rows; see states.test.ts
}

/** The node may move on from here without anybody asking: settings of its boot must keep still. */
export function isUnstable(state: ProvisionState): boolean {
  const { kind } = provision[state]
  return kind === 'transitional' || kind === 'wait'
}

/** The field that shows the step which runs, waits or holds in `state`; undefined where there are no steps. */
export function stepFieldOf(state: ProvisionState): 'clean_step' | 'deploy_step' | 'service_step' | undefined {
  const { kind } = provision[state]
  if (kind === 'stable' || kind === 'failed') return undefined
  if (reaches(state, 'clean failed')) return 'clean_step'
  if (reaches(state, 'deploy failed')) return 'deploy_step'
  return reaches(state, 'service failed') ? 'service_step' : undefined
}

function reaches(state: ProvisionState, failed: ProvisionState): boolean {
  return target(state, 'fail') === failed || target(state, 'abort') === failed
}

export function isProvisionState(text: string): text is ProvisionState {
  return Object.hasOwn(provision, text)
}

/** States in which a node without maintenance may be deleted; in maintenance every state allows it. */
export const deletable: readonly ProvisionState[] = ['enroll', 'manageable', 'available', 'adopt failed']

/** States in which interfaces and resource_class may change. */
export const interfacesChangeable: readonly ProvisionState[] = [
  'enroll',
  'inspecting',
  'inspect wait',
  'manageable',
  'available',
]

export const powerStates = ['power on', 'power off', 'error'] as const
export type PowerState = (typeof powerStates)[number]

/** What PUT states/power takes, with the state it aims at. */
export const powerTargets = {
  'power on': 'power on',
  'power off': 'power off',
  rebooting: 'power on',
  'soft power off': 'power off',
  'soft rebooting': 'power on',
} as const
export type PowerTarget = keyof typeof powerTargets

export const bootDevices = [
  'pxe',
  'disk',
  'cdrom',
  'bios',
  'safe',
  'wanboot',
  'iscsiboot',
  'floppy',
  'uefihttp',
] as const
export type BootDevice = (typeof bootDevices)[number]

export const bootModes = ['bios', 'uefi'] as const
export type BootMode = (typeof bootModes)[number]
