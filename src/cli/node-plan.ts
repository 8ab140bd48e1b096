/** `ferrite node plan ...`: what a verb would do to a node, without doing it. Verbs and options are node-provision.ts's. */
import type { Verb } from '#protocol/states.ts'
import {
  type AnyCommand,
  type AnyInput,
  type Commands,
  type Context,
  command,
  type Item,
  type Options,
  type Output,
} from './command.ts'
import { node, nodePath } from './node-path.ts'
import { deployBody, deployOptions, stepBody, stepOptions } from './node-provision.ts'
import { WouldBeRefused } from './report.ts'

const raw = { raw: { takes: 'nothing', about: 'show the whole answer of the service' } } satisfies Options

interface Planned {
  readonly options?: Options
  body?(input: AnyInput, context: Context): Promise<Item>
}

function plan(verb: Verb, what: string, { options = {}, body }: Planned = {}): AnyCommand {
  return command({
    about: `Say what ${what} would do, and why it would be refused now, without doing it`,
    args: { node },
    options: { ...options, ...raw } as Options,
    shows: 'list',
    async run(input: AnyInput, context) {
      const name = String(input.args.node)
      const request = { target: verb, ...(await body?.(input, context)) }
      const found = await context.api.create(`${nodePath(name)}/plan`, request)
      const refusals = list(found.refusals)
      const output: Output = input.options.raw
        ? { kind: 'one', item: found }
        : { kind: 'list', columns: ['part', 'what'], items: told(found) }
      if (refusals.length === 0) return output
      const failure = new WouldBeRefused(
        `${what} of node ${name} would be refused now, for ${refusals.length} reason(s): see above`,
      )
      return { ...output, failure }
    },
  })
}

const steps = (kind: 'clean' | 'service'): Planned => ({
  options: stepOptions(kind),
  body: (input, context) => stepBody(kind, input, context),
})
const deployment: Planned = { options: deployOptions, body: deployBody }

export const commands: Commands = {
  deploy: plan('active', 'a deployment', deployment),
  rebuild: plan('rebuild', 'a rebuild', deployment),
  undeploy: plan('deleted', 'tearing down'),
  clean: plan('clean', 'a cleaning by steps', steps('clean')),
  provide: plan('provide', 'making it available'),
  inspect: plan('inspect', 'an inspection'),
  service: plan('service', 'a service', steps('service')),
  rescue: plan('rescue', 'a rescue'),
  unrescue: plan('unrescue', 'the end of a rescue'),
  manage: plan('manage', 'taking it under control'),
  adopt: plan('adopt', 'an adoption'),
}

/** The plan in lines for people, each with the part that it is of. */
function told(plan: Item): Item[] {
  const { from_state, ends_in, boots, power_complete, steps_complete, image, duration } = plan
  const steps = list(plan.steps).map(stepLine)
  const power = list(plan.power).map(({ to, why }) => `${to}: ${why}`)
  const parts: Readonly<Record<string, readonly unknown[]>> = {
    refusal: list(plan.refusals).map(({ code, message }) => `${message} (${code})`),
    course: [`${from_state} to ${ends_in ?? 'nowhere: it is not possible now'}, booting ${boots} time(s)`],
    disk: list(plan.disks).map(diskLine),
    image: isItem(image) ? [imageLine(image)] : [],
    duration: [isItem(duration) ? durationLine(duration) : 'not known: no earlier run of this model'],
    step: steps_complete ? steps : [...steps, '… and what the agent adds'],
    power: power_complete ? power : [...power, '… and what some steps do, which is not known beforehand'],
    note: Array.isArray(plan.notes) ? plan.notes : [],
  }
  return Object.entries(parts).flatMap(([part, lines]) => lines.map(what => ({ part, what })))
}

function stepLine(
  { interface: type, step, priority, side, wanted_by, known_from, power }: Item,
  index: number,
): string {
  const changes = Array.isArray(power) && power.length > 0 ? `, ${power.join(', then ')}` : ''
  const wanted = wanted_by === 'priority' ? '' : `, by ${wanted_by}`
  const known = known_from === 'now' ? '' : known_from === 'unknown' ? ', not known here' : ', as in an earlier run'
  const at = priority === null || priority === 0 ? '' : `priority ${priority}, `
  return `${index + 1}. ${type}.${step} (${at}${side}${wanted}${known}${changes})`
}

function diskLine({ name, serial, size_bytes, model, fate, why }: Item): string {
  const about = [model, serial === null ? null : `serial ${serial}`, bytes(size_bytes)].filter(part => part !== null)
  return `${name ?? 'a disk'} (${about.join(', ')}): ${fate}, ${why}`
}

function imageLine({ source, format, size_bytes, checksum, fetched_by, in_cache }: Item): string {
  const way = fetched_by === 'agent' ? 'fetched by the machine' : in_cache ? 'in the store here' : 'fetched here first'
  return [source, format, bytes(size_bytes), checksum, way].filter(part => part !== null).join(', ')
}

function durationLine({ seconds, seconds_p90, runs, model }: Item): string {
  const [usual, most] = [seconds, seconds_p90].map(value => `${Math.round(Number(value))} s`)
  return `${usual}, and ${most} at most in nine of ten; by ${runs} earlier run(s) of ${model}`
}

function bytes(size: unknown): string | null {
  return typeof size === 'number' ? `${(size / 2 ** 30).toFixed(1)} GiB` : null
}

function list(value: unknown): Item[] {
  return Array.isArray(value) ? value.filter(isItem) : []
}

function isItem(value: unknown): value is Item {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
