/**
 * A value that is loaded again when what it comes from changed. It is looked at when somebody asks and the last look is a
 * second old, so that it needs no watcher and costs nothing while nobody asks. A new version that cannot be used is
 * reported once, and the one before stays in force until a look finds one that can.
 */
import { readFile, stat } from 'node:fs/promises'
import { InvalidInput, messageOf } from './fault.ts'
import type { Log } from './log.ts'

export interface Fresh<T> {
  /** The value as it is now; a promise only when it is time to look again. */
  read(): T | Promise<T>
  /** What was loaded last, at once; a newer version counts from the next question on. */
  latest(): T
}

export interface FreshOptions<T> {
  /** What it is, for messages: `the file of users`. */
  readonly noun: string
  /** A text that changes with the source. */
  version(): Promise<string>
  /** @throws any fault, with the place in the source that is wrong */
  load(): Promise<T>
  readonly log: Log
  readonly freshForMs?: number
}

/** @throws whatever `version` and `load` throw the first time */
export async function openFresh<T>(options: FreshOptions<T>): Promise<Fresh<T>> {
  const { noun, log, freshForMs = 1000 } = options
  let seen = await options.version()
  let value = await options.load()
  let lookedAtMs = performance.now()
  let looking: Promise<T> | undefined
  let reported: string | undefined

  const look = async (): Promise<T> => {
    try {
      const now = await options.version()
      if (now !== seen) {
        value = await options.load()
        // Not before: what cannot be read for a moment is read at the next look, though nobody changes it any more.
        seen = now
        log.info({}, `${noun} was read again`)
      }
      reported = undefined
    } catch (error) {
      const problem = messageOf(error)
      if (problem !== reported) log.error({}, `${problem}; what was read before stays in force`)
      reported = problem
    }
    lookedAtMs = performance.now()
    looking = undefined
    return value
  }
  const isFresh = () => performance.now() - lookedAtMs < freshForMs

  return {
    read() {
      if (isFresh()) return value
      looking ??= look()
      return looking
    },
    latest() {
      if (!isFresh()) looking ??= look()
      return value
    },
  }
}

const missing = 'missing'

/** A text that changes with a file, also when it comes and goes. @throws InvalidInput */
export async function versionOfFile(path: string, noun: string): Promise<string> {
  try {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true })
    return `${mtimeNs} ${size} ${ino}`
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return missing // errors of fs have codes
    throw new InvalidInput(`Cannot read ${noun}: ${messageOf(error)}`, { cause: error })
  }
}

/** @throws InvalidInput */
export async function textOfFile(path: string, noun: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new InvalidInput(`Cannot read ${noun}: ${messageOf(error)}`, { cause: error })
  }
}
