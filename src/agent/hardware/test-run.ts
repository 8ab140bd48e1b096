/** Runs steps of the generic manager on given disks, as the agent would. For tests. */
import type { AgentNode } from '#protocol/agent.ts'
import type { AgentContext, ReportProgress } from '../context.ts'
import { defaultOptions, type Options } from '../options.ts'
import { readSettings } from '../settings.ts'
import { Store } from '../store.ts'
import type { BlockDevice } from './block-devices.ts'
import { selectHardware } from './dispatch.ts'
import { genericManager } from './generic.ts'
import type { HardwareManager } from './manager.ts'

export interface StepSetup {
  /** Whole disks the agent may see. */
  devices: readonly string[]
  stateDir: string
  options?: Partial<Options>
  /** Further flags of the agent. */
  flags?: readonly string[]
  /** Makes disks look different from what they are. */
  disguise?: (disk: BlockDevice) => BlockDevice
  progress?: ReportProgress
  signal?: AbortSignal
}

export function testContext({ devices, stateDir, options, flags = [] }: StepSetup): AgentContext {
  return {
    options: { ...defaultOptions(), diskWaitAttempts: 1, ...options },
    settings: readSettings(['--only-devices', devices.join(',') || '/dev/null', '--guest', ...flags], {}),
    store: new Store(stateDir),
    log: { info() {}, warn() {}, error() {}, debug() {} },
    node: null,
  }
}

/** @returns what the step returned */
export async function runStep(
  setup: StepSetup,
  step: string,
  node: Partial<AgentNode> & Record<string, unknown> = {},
  args: Record<string, unknown> = {},
): Promise<unknown> {
  const agent = testContext(setup)
  const generic = genericManager(agent)
  const managers = setup.disguise === undefined ? [generic] : [disguised(generic, setup.disguise), generic]
  const hardware = await selectHardware(agent, managers)
  const whole: AgentNode = { uuid: 'u', properties: {}, instance_info: {}, ...node }
  agent.node = whole // as the extension of the step's kind does
  const { progress = () => {}, signal = new AbortController().signal } = setup
  return await hardware.runStep(step, args, { agent, node: whole, ports: [], progress, signal })
}

function disguised(generic: HardwareManager, disguise: (disk: BlockDevice) => BlockDevice): HardwareManager {
  return {
    className: 'Disguise',
    version: { name: 'disguise', version: '1' },
    steps: [],
    evaluate: async () => 2,
    methods: { listBlockDevices: async () => ((await generic.methods.listBlockDevices?.()) ?? []).map(disguise) },
  }
}
