/**
 * Burning in processors, memory and graphics cards: programs that work them hard for a day, and fail where the hardware
 * does.
 *
 * Source: openstack/ironic-python-agent `burnin.py` (settings, defaults); stress-ng(1); gpu_burn's own help.
 */
import { messageOf } from '#lib/fault.ts'
import { type RunOptions, run } from '#lib/run.ts'
import { AgentFault } from '../../errors.ts'
import type { StepRun } from '../manager.ts'
import { burnInSettings } from './settings.ts'

const oneDay = '86400'

/** @returns what stress-ng measured */
export async function burnInCpu({ node, signal, progress }: StepRun): Promise<string> {
  const settings = burnInSettings(node, 'agent_burnin_cpu_')
  const timeout = settings.duration('timeout', oneDay)
  progress({ phase: 'burn in cpu', bytes: 0, total_bytes: null, detail: `for ${timeout}` })
  const workers = ['--cpu', String(settings.count('cpu', 0)), '--timeout', timeout]
  return await stress(workers, settings.path('outputfile'), signal)
}

/** @returns what stress-ng measured */
export async function burnInMemory({ node, signal, progress }: StepRun): Promise<string> {
  const settings = burnInSettings(node, 'agent_burnin_vm_')
  const timeout = settings.duration('timeout', oneDay)
  progress({ phase: 'burn in memory', bytes: 0, total_bytes: null, detail: `for ${timeout}` })
  const workers = ['--vm', String(settings.count('vm', 0)), '--timeout', timeout]
  const share = ['--vm-bytes', settings.memory('vm-bytes', '98%')]
  return await stress([...workers, ...share], settings.path('outputfile'), signal)
}

/** @returns what gpu_burn printed last */
export async function burnInGpu({ node, signal, progress }: StepRun): Promise<string> {
  const settings = burnInSettings(node, 'agent_burnin_gpu_')
  const cwd = settings.path('install_dir') ?? '/opt/gpu-burn'
  const expected = settings.count('count', 0)
  const timeout = String(settings.count('timeout', Number(oneDay)))
  const memory = settings.memory('memory', '95%')
  progress({ phase: 'burn in gpu', bytes: 0, total_bytes: null, detail: `for ${timeout} s` })
  if (expected > 0) {
    const { stdout } = await tried('./gpu_burn', ['-l'], { cwd, signal })
    const found = stdout.split('\n').filter(line => line.startsWith('ID')).length
    if (found !== expected) {
      throw new AgentFault(
        'CleaningError',
        `Counting graphics cards before their burn-in: found ${found}, expected ${expected}`,
      )
    }
  }
  const { stdout } = await tried('./gpu_burn', ['-m', memory, timeout], { cwd, signal })
  return lastLines(stdout)
}

async function stress(args: readonly string[], outputFile: string | null, signal: AbortSignal): Promise<string> {
  const log = outputFile === null ? [] : ['--log-file', outputFile]
  // It reports on standard error, some versions on standard output.
  const { stdout, stderr } = await tried('stress-ng', [...args, '--metrics-brief', ...log], { signal })
  return lastLines(stdout + stderr)
}

/** Runs a program of a burn-in. @throws AgentFault CommandExecutionError */
export async function tried(command: string, args: readonly string[], options: RunOptions) {
  try {
    return await run(command, args, options)
  } catch (error) {
    const hint = /ENOENT/.test(messageOf(error)) ? '; is it in this ramdisk (built --with burn-in)?' : ''
    throw new AgentFault('CommandExecutionError', `Burning in: ${messageOf(error)}${hint}`, { cause: error })
  }
}

const lastLines = (text: string) => text.trim().split('\n').slice(-20).join('\n')
