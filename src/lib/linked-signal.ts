/**
 * One signal that follows several, for as long as a piece of work takes. `AbortSignal.any` does the same, but leaves a
 * record with each of its sources until a garbage collection finds it, which for requests by the thousand under one
 * signal is more than the requests themselves.
 */

export interface LinkedSignal extends Disposable {
  readonly signal: AbortSignal
}

/** Aborts as soon as one of the sources does, and for its reason; follows none of them once it is disposed. */
export function linkedSignal(...sources: readonly AbortSignal[]): LinkedSignal {
  const controller = new AbortController()
  const follow = ({ target }: { target: EventTarget | null }) => {
    controller.abort((target as AbortSignal).reason) // listened to on signals alone
  }
  for (const source of sources) {
    if (source.aborted) controller.abort(source.reason)
    else source.addEventListener('abort', follow, { once: true })
  }
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const source of sources) source.removeEventListener('abort', follow)
    },
  }
}
