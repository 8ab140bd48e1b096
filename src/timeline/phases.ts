/**
 * Which phase a record of a flow belongs to, by its name and by the step that it was made in. Names of records are
 * stored, so they do not change; one that no rule knows belongs to its step, or else to the conductor, which made it.
 * Pure; a wait for a machine that boots is divided further by what was seen of the boot (boot.ts).
 */
import type { PhaseName } from '#protocol/timeline.ts'

/** A step of a plan that is under way: `deploy.write_image`, in a deployment, a cleaning or a service. */
export interface PlanStep {
  kind: 'deploy' | 'clean' | 'service'
  name: string
}

const marker = /^(deploy|clean|service)\b.*? \d+ ([\w-]+\.[\w-]+): (begin|end)$/

/** Whether the record begins or ends a step of a plan. */
export function planMark(record: string): { step: PlanStep; is: 'begin' | 'end' } | undefined {
  const [, kind, name, is] = marker.exec(record) ?? []
  if (kind === undefined || name === undefined) return undefined
  return { step: { kind: kind as PlanStep['kind'], name }, is: is === 'begin' ? 'begin' : 'end' } // by the pattern
}

/** Is it a wait for a ramdisk that boots? */
export function isBootWait(record: string): boolean {
  return /^(agent of \w+|inspection data|.*: agent)(, boot \d+)?$/.test(record)
}

/** Of a record outside of steps, or of the step that boots the ramdisk. The first rule that fits counts. */
const rules: readonly (readonly [RegExp, PhaseName])[] = [
  [/^undo\//, 'undo'],
  [/^a place to /, 'queue'],
  [/: hold$/, 'hold'],
  [/^make the image ready$|^release the image$|^prepare the instance$/, 'image'],
  [/ network$|^leave the instance for |^connect the installer$|^detach VIFs$/, 'network'],
  [/^power off after |^remove \w+ boot$|^remove boot files$|^reboot after /, 'reboot'],
  [/^(switch off for|boot) the instance|^restart into the instance|^give the machine back$/, 'reboot'],
  [/^agent: power(ed)? off$|^flush the disks$|^lock the agent down$|^shut down /, 'reboot'],
  [/^hooks$|^inspection rules$|^what the rules changed$|^keep the inventory$|^essential properties$/, 'inspect'],
  [/^keep the logs of the ramdisk$|^fake inspection$/, 'inspect'],
  [/^collect the logs of the ramdisk$|^partition uuids$|^install boot loader|^prepare instance boot$/, 'configure'],
  [/^finalize rescue|^hand the rescue system over$|^fake rescue$/, 'configure'],
  [/^plan (with agent|cleaning|servicing)|: commands before$/, 'agent'],
  [/^fast track|: heartbeat$|: agent answers$/, 'agent'],
  [/(: (off|on|ask|wait|done|reset|restart|down|applied|check)|\bBMC\b.*)$/, 'bmc'],
  [/^prepare \w+ boot$|: prepare( boot)?$|^boot from the network$|^read power state$|^set$/, 'bmc'],
  [/^(remove instance|take over the boot|boot device again|verified: .*|send raw bytes)$/, 'bmc'],
  [/^read BIOS settings and firmware/, 'bmc'],
]

/** Of a whole step of a plan, by its name; other steps have the phase of their kind. */
const steps: Readonly<Record<string, PhaseName>> = {
  'deploy.write_image': 'write',
  'deploy.execute_bootc_install': 'write',
  'deploy.write_custom': 'write',
  'deploy.prepare_instance_boot': 'configure',
  'deploy.tear_down_agent': 'reboot',
  'deploy.switch_to_tenant_network': 'network',
  'deploy.boot_instance': 'reboot',
}
const kinds = { deploy: 'configure', clean: 'clean', service: 'service' } as const
/** Records of power changes and of boots, which steps of every kind may make. */
const power = /: (off|on): (ask|wait|done)$|: reset$|: prepare( boot)?$/

/** The phase of a step of a plan. */
export function phaseOfStep({ kind, name }: PlanStep): PhaseName {
  if (name === 'deploy.deploy' || /\.(power_on|power_off|reboot)$/.test(name)) return 'bmc'
  return steps[name] ?? kinds[kind]
}

/** The phase of a record made in a step, or outside of any. */
export function phaseOfRecord(record: string, step: PlanStep | undefined): PhaseName {
  if (planMark(record)) return 'conductor'
  if (record.startsWith('undo/')) return 'undo'
  if (record.endsWith(': hold')) return 'hold'
  const bare = record.replace(/ \(\d+\)$/, '')
  if (step) {
    const ofStep = phaseOfStep(step)
    if (ofStep !== 'bmc') return power.test(bare) && ofStep !== 'reboot' && ofStep !== 'network' ? 'bmc' : ofStep
  }
  return rules.find(([pattern]) => pattern.test(bare))?.[1] ?? 'conductor'
}

/** What broke off before it could be recorded, by the code of its error. */
export function phaseOfError(code: string | null): PhaseName | undefined {
  if (code === null) return undefined
  if (/^(bmc|power|ipmi|snmp|redfish)/.test(code)) return 'bmc'
  if (/^image/.test(code)) return 'image'
  if (/^agent/.test(code)) return 'agent'
  if (/^(neutron|network)/.test(code)) return 'network'
  return undefined
}
