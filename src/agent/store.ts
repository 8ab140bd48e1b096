/**
 * What must outlive a crash of the agent process, in a directory on tmpfs: token, lookup answer, key and certificate,
 * command records, what is being written where. With it a restarted process goes on as the same agent. Files appear by
 * rename, so a reader never sees half of one. It holds secrets: the directory and its files are for root alone.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'

/** The answer to the look-up, and the token that came with it. */
export const lookupFile = 'lookup.json'
export const tokenFile = 'token'

export class Store {
  readonly dir: string

  constructor(dir: string) {
    this.dir = dir
    mkdirSync(dir, { recursive: true, mode: 0o700 })
  }

  path(name: string): string {
    return join(this.dir, name)
  }

  readText(name: string): string | null {
    try {
      return readFileSync(this.path(name), 'utf8')
    } catch {
      return null
    }
  }

  writeText(name: string, text: string): void {
    const temporary = this.path(`.${name}.new`)
    writeFileSync(temporary, text, { mode: 0o600 })
    renameSync(temporary, this.path(name))
  }

  /** Null when there is none, or when what is there is not of this shape (an older agent's). */
  read<S extends TSchema>(name: string, schema: S): Static<S> | null {
    const text = this.readText(name)
    if (text === null) return null
    try {
      const value: unknown = JSON.parse(text)
      return Value.Check(schema, value) ? value : null
    } catch {
      return null
    }
  }

  write(name: string, value: unknown): void {
    this.writeText(name, JSON.stringify(value))
  }

  remove(name: string): void {
    rmSync(this.path(name), { force: true })
  }

  /** Names in alphabetical order. */
  list(prefix: string): string[] {
    return readdirSync(this.dir)
      .filter(name => name.startsWith(prefix))
      .sort()
  }
}
