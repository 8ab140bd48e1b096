/**
 * Hardware managers that are programs of their own: any executable in the folder of plug-ins, in any language. It is
 * started anew for each question, reads one line of JSON from its standard input, and writes lines of JSON to its
 * standard output, the last of which is its answer; docs/hardware-managers.md says which. What it writes to its standard
 * error is logged. One that cannot describe itself is left out, so that it harms no machine that it was not made for.
 *
 * Source: the interface is Ferrite's own; its terms are those of openstack/ironic-python-agent `hardware.py`.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { messageOf } from '#lib/fault.ts'
import type { AgentContext } from '../context.ts'
import { AgentFault } from '../errors.ts'
import type { HardwareManager, Step, StepRun } from './manager.ts'

const Name = Type.String({ pattern: '^[A-Za-z_][\\w.-]{0,99}$' })
const Offered = Type.Object({ priority: Type.Integer({ minimum: 0 }), abortable: Type.Optional(Type.Boolean()) })
const Description = Type.Object({
  name: Name,
  version: Type.String({ minLength: 1, maxLength: 100 }),
  /** 0: not for this machine; 3: a provider's own. */
  support_level: Type.Integer({ minimum: 0 }),
  steps: Type.Array(
    Type.Object({
      step: Name,
      interface: Name,
      clean: Type.Optional(Offered),
      deploy: Type.Optional(Offered),
      service: Type.Optional(Offered),
      reboot_requested: Type.Optional(Type.Boolean()),
      argsinfo: Type.Optional(
        Type.Record(
          Type.String(),
          Type.Object({ description: Type.String(), required: Type.Optional(Type.Boolean()) }),
        ),
      ),
    }),
  ),
})
type Description = Static<typeof Description>

const Line = Type.Union([
  Type.Object({
    progress: Type.Object({
      phase: Type.String({ maxLength: 100 }),
      bytes: Type.Integer({ minimum: 0 }),
      total_bytes: Type.Optional(Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])),
    }),
  }),
  Type.Object({ error: Type.String() }),
  Type.Object({ result: Type.Unknown() }),
])

const isDescription = Compile(Description)
const isLine = Compile(Line)

/** How long a program may take to describe itself. */
const describeLimitMs = 60_000
/** Arguments beyond this do not fit into an environment, and stand in the request alone. */
const environmentLimitBytes = 32 * 1024

/** The programs of the folder that describe themselves, in the order of their names. */
export async function plugIns(context: AgentContext): Promise<HardwareManager[]> {
  const { pluginDir } = context.settings
  const names = await readdir(pluginDir).catch(() => [])
  const managers: HardwareManager[] = []
  for (const name of names.sort()) {
    const file = join(pluginDir, name)
    try {
      if (!(await stat(file)).isFile()) continue
      await access(file, constants.X_OK)
      managers.push(await managerOf(file, context))
      context.log.info(`Hardware manager ${file} is ${managers.at(-1)?.version.name}`)
    } catch (error) {
      context.log.error(`The hardware manager ${file} is left out: ${messageOf(error)}`)
    }
  }
  return managers
}

async function managerOf(file: string, context: AgentContext): Promise<HardwareManager> {
  const signal = AbortSignal.timeout(describeLimitMs)
  const told = await ask(file, { call: 'describe' }, { context, signal })
  if (!isDescription.Check(told)) {
    const [first] = isDescription.Errors(told)
    throw new AgentFault(
      'HardwareManagerNotFound',
      `its answer to "describe" is not usable: ${first?.instancePath || 'all of it'} ${first?.message}`,
    )
  }
  const { name, version, support_level, steps } = told
  return {
    className: name,
    version: { name, version },
    steps: steps.map(step => stepOf(file, step)),
    methods: {},
    evaluate: async () => support_level,
  }
}

function stepOf(file: string, described: Description['steps'][number]): Step {
  const { step, interface: type, clean, deploy, service, reboot_requested = false, argsinfo } = described
  return {
    step,
    interface: type,
    offered: { ...(clean && { clean }), ...(deploy && { deploy }), ...(service && { service }) },
    rebootRequested: reboot_requested,
    ...(argsinfo && { argsinfo }),
    async run(args, run) {
      const rootDevice = await run.hardware.call('osInstallDevice', run.node).then(
        ({ name }) => name,
        () => null, // A step may need none.
      )
      const request = { call: 'step', step, args, node: run.node, ports: run.ports, root_device: rootDevice }
      const { agent: context, signal } = run
      const env = environment({ FERRITE_STEP: step, FERRITE_ROOT_DEVICE: rootDevice }, args)
      return await ask(file, request, { context, signal, env, onProgress: run.progress })
    },
  }
}

/** For programs that would rather not read JSON: texts, numbers, yes and no of the arguments as `FERRITE_ARG_<name>`. */
function environment(own: Record<string, string | null>, args: Record<string, unknown>): Record<string, string> {
  const given = Object.entries(args).filter(
    ([name, value]) => /^\w+$/.test(name) && ['string', 'number', 'boolean'].includes(typeof value),
  )
  const texts = [
    ...Object.entries(own),
    ...given.map(([name, value]) => [`FERRITE_ARG_${name}`, String(value)] as const),
  ]
  const fitting = texts.filter(
    ([, value]) => value !== null && !/\0/.test(value) && value.length <= environmentLimitBytes,
  )
  return Object.fromEntries(fitting) as Record<string, string> // null was left out
}

interface Asking {
  context: AgentContext
  /** Ends the program when it is aborted. */
  signal: AbortSignal
  env?: Record<string, string>
  onProgress?: StepRun['progress']
}

/** Runs the program for one request. @throws AgentFault with what it says of its failure */
async function ask(file: string, request: object, { context, signal, env, onProgress }: Asking): Promise<unknown> {
  const child = spawn(file, [], { env: { ...process.env, ...env }, signal, stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = new Promise<string | 0>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, by) => resolve(code === 0 ? 0 : by === null ? `status ${code}` : `signal ${by}`))
  })
  // A program that does not read breaks the pipe; its answer is what counts.
  child.stdin.on('error', () => {})
  child.stdin.end(`${JSON.stringify(request)}\n`)
  createInterface({ input: child.stderr }).on('line', line => context.log.info(`${file}: ${line}`))

  let answer: { error: string } | { result: unknown } | undefined
  let nonsense: string | undefined
  createInterface({ input: child.stdout }).on('line', text => {
    const line = parsed(text)
    if (line === undefined) nonsense ??= text.slice(0, 200)
    else if (!('progress' in line)) answer = line
    else {
      const { phase, bytes, total_bytes = null } = line.progress
      onProgress?.({ phase, bytes, total_bytes })
    }
  })
  const end = await ended.catch(error => {
    throw new AgentFault('CommandExecutionError', `The hardware manager ${file} cannot be run: ${messageOf(error)}`)
  })
  if (answer && 'error' in answer) throw new AgentFault('CommandExecutionError', answer.error)
  if (end !== 0) throw wrong(file, `it ended with ${end}`, nonsense)
  if (!answer) throw wrong(file, 'it ended without an answer', nonsense)
  return answer.result
}

function parsed(text: string): Static<typeof Line> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isLine.Check(value) ? value : undefined
  } catch {
    return undefined
  }
}

function wrong(file: string, found: string, nonsense: string | undefined): AgentFault {
  const said = nonsense === undefined ? '' : `, having said ${JSON.stringify(nonsense)}`
  return new AgentFault(
    'CommandExecutionError',
    `The hardware manager ${file} failed: ${found}${said}; expected a line {"result": …} or {"error": "…"} and status 0`,
  )
}
