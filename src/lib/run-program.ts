/** The life of a command of ours: its arguments are parsed and acted upon, faults are told, and all has an exit status. */
import { type Command, CommanderError } from 'commander'
import { Fault } from './fault.ts'

/**
 * @param program with `exitOverride`, so that help and wrong arguments come back here
 * @returns 0, 1 for a fault, which is printed, or 2 for arguments that cannot be
 */
export async function runProgram(program: Command, args: string[]): Promise<number> {
  try {
    await program.parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (!(error instanceof Fault)) throw error
    process.stderr.write(`ferrite: ${error.message}\n`)
    return 1
  }
}
