/**
 * The agent's log: a line per event to standard output (the serial console in the ramdisk) and to a file of bounded
 * size in the state directory, which `log.collect_system_logs` hands out and which outlives the process. Callers keep
 * secrets out of what they pass.
 */
import { appendFileSync, renameSync, statSync } from 'node:fs'

const FILE_LIMIT_BYTES = 1024 * 1024

export interface Log {
  info(text: string): void
  warn(text: string): void
  error(text: string): void
  debug(text: string): void
}

/** @param file where lines are kept; the one before it is `<file>.1` */
export function openLog(file: string | null, { debug }: { debug: boolean }): Log {
  const write = (level: string, text: string) => {
    const line = `${new Date().toISOString()} ${level} ${text}\n`
    process.stdout.write(`ferrite-agent: ${line}`)
    if (file !== null) keep(file, line)
  }
  return {
    info: text => write('INFO', text),
    warn: text => write('WARNING', text),
    error: text => write('ERROR', text),
    debug: text => {
      if (debug) write('DEBUG', text)
    },
  }
}

/** A log that cannot be kept (full tmpfs) must not stop a deployment, so failures are swallowed here alone. */
function keep(file: string, line: string): void {
  try {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > FILE_LIMIT_BYTES) renameSync(file, `${file}.1`)
    appendFileSync(file, line, { mode: 0o600 })
  } catch {}
}
