/**
 * A file that is read again when it changed. It is looked at when somebody asks and the last look is a second old, so
 * that it needs no watcher and costs nothing while nobody asks. A new version that cannot be used is reported, and the
 * one before stays in force.
 */
import { readFile, stat } from 'node:fs/promises'
import { InvalidInput, messageOf } from './fault.ts'
import type { Log } from './log.ts'

export interface FreshFile<T> {
  /** What the file holds; a promise only when it is time to look at it again. */
  read(): T | Promise<T>
  /** What was read last, at once; a newer version counts from the next question on. */
  latest(): T
}

export interface FreshFileOptions<T> {
  readonly path: string
  /** What it is, for messages: `the file of users`. */
  readonly noun: string
  /** @throws any fault, with the place in the file that is wrong */
  parse(text: string): T
  readonly log: Log
  /** Value where there is no file; without it a file that is missing is a fault. */
  readonly absent?: T
  readonly freshForMs?: number
}

/** @throws InvalidInput when the file cannot be read, and whatever `parse` throws */
export async function openFreshFile<T>(options: FreshFileOptions<T>): Promise<FreshFile<T>> {
  const { path, noun, log, freshForMs = 1000 } = options
  let seen = await versionOf(options)
  let value = await load(options, seen)
  let lookedAtMs = performance.now()
  let looking: Promise<T> | undefined

  const look = async (): Promise<T> => {
    try {
      const now = await versionOf(options)
      if (now !== seen) {
        seen = now
        value = await load(options, now)
        log.info({ path }, `${noun} was read again`)
      }
    } catch (error) {
      log.error({ path }, `${messageOf(error)}; what was read before stays in force`)
    }
    lookedAtMs = performance.now()
    looking = undefined
    return value
  }

  return {
    read() {
      if (performance.now() - lookedAtMs < freshForMs) return value
      looking ??= look()
      return looking
    },
    latest() {
      if (performance.now() - lookedAtMs >= freshForMs) looking ??= look()
      return value
    },
  }
}

const missing = 'missing'

/** A text that changes with the file. */
async function versionOf<T>({ path, noun, absent }: FreshFileOptions<T>): Promise<string> {
  try {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true })
    return `${mtimeNs} ${size} ${ino}`
  } catch (error) {
    if (absent !== undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return missing // errors of fs have codes
    throw new InvalidInput(`Cannot read ${noun}: ${messageOf(error)}`, { cause: error })
  }
}

async function load<T>({ path, noun, absent, parse }: FreshFileOptions<T>, version: string): Promise<T> {
  if (version === missing && absent !== undefined) return absent
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new InvalidInput(`Cannot read ${noun}: ${messageOf(error)}`, { cause: error })
  }
  return parse(text)
}
