/** Things made once per process and closed with it: pools of connections, mostly. Nothing here outlives the process. */
export class Shared {
  readonly #made = new Map<symbol, object>()

  /** The thing under `key`, made at the first call. */
  readonly get = <T extends object>(key: symbol, make: () => T): T => {
    const known = this.#made.get(key)
    if (known) return known as T // one key is one type, see NodeContext.shared
    const made = make()
    this.#made.set(key, made)
    return made
  }

  async dispose(): Promise<void> {
    const all = [...this.#made.values()]
    this.#made.clear()
    for (const thing of all as Partial<AsyncDisposable>[]) await thing[Symbol.asyncDispose]?.()
  }
}
