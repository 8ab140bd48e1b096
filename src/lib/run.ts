/**
 * Runs another program to its end and hands back what it printed. Arguments are a list, never a shell's text. It does
 * not retry and does not interpret the output; a program that fails is a fault with the last lines it wrote.
 */
import { spawn } from 'node:child_process'
import { Fault, messageOf } from './fault.ts'

/** A program could not be started, or ended with a status that is not 0. */
export class CommandFailed extends Fault {
  readonly status = 500
  readonly code = 'command-failed'
}

export type RunOptions = {
  cwd?: string
  /** Added to our own environment. */
  env?: Record<string, string>
  /** Written to the program's standard input; without it the input is empty. */
  input?: string | Uint8Array
  /** Kills the program when aborted. */
  signal?: AbortSignal
}

/**
 * Runs `command` and resolves with its output once it ended with status 0.
 * @throws CommandFailed with the last lines of standard error
 */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<{ stdout: string; stderr: string }> {
  const shown = [command, ...args].join(' ').slice(0, 200)
  const child = spawn(command, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  // A program that ends before it read everything breaks the pipe; its exit status says what happened.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const ended = await new Promise<string | 0>((resolve, reject) => {
    child.on('error', error => reject(new CommandFailed(`Cannot run ${shown}: ${messageOf(error)}`, { cause: error })))
    child.on('close', (code, signal) =>
      resolve(code === 0 ? 0 : signal === null ? `status ${code}` : `signal ${signal}`),
    )
  })
  const text = { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
  if (ended === 0) return text
  const said = (text.stderr.trim() || text.stdout.trim()).split('\n').slice(-8).join('\n')
  throw new CommandFailed(`${shown} ended with ${ended}${said === '' ? '' : `: ${said}`}`)
}
