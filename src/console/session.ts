/**
 * Who uses the console, for this tab: what goes along with each request. It is kept in memory and, so that a page that
 * is loaded again need not ask, in the tab's session storage, which ends with the tab; nowhere else.
 */
import { useSyncExternalStore } from 'react'

export type Strategy = 'noauth' | 'http_basic' | 'keystone'

export interface Session {
  readonly strategy: Strategy
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>
  /** Shown in the masthead. */
  readonly user: string | null
  /** The project that the token is for, or that it is for the whole system. */
  readonly scope: string | null
  readonly roles: readonly string[]
}

type State =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'out'; readonly strategy: Strategy }
  | { readonly kind: 'in'; readonly session: Session }

const storageKey = 'ferrite.session'
const listeners = new Set<() => void>()
let state: State = { kind: 'unknown' }

/** The state of the session, as hook. */
export function useSession(): State {
  return useSyncExternalStore(
    listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => state,
  )
}

/** The headers of the present session; none while nobody has signed in. */
export function sessionHeaders(): Readonly<Record<string, string>> {
  return state.kind === 'in' ? state.session.headers : {}
}

/**
 * What a WebSocket is opened with: browsers send no headers with it, so who asks stands among the protocols, as one that
 * the service takes for those headers (src/server/sockets.ts).
 */
export function socketProtocols(): string[] {
  const [header] = Object.entries(sessionHeaders())
  if (!header) return []
  const bytes = new TextEncoder().encode(header.join(': '))
  const text = btoa(String.fromCharCode(...bytes))
  return ['ferrite', `ferrite.header.${text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`]
}

/** Asks the service how callers prove who they are, and takes up the tab's session if there is one. */
export async function openSession(): Promise<void> {
  const answer = await fetch('/ui/session', { credentials: 'omit' })
  if (!answer.ok) throw new Error(`The service answers ${answer.status} to the question how to sign in`)
  const { auth_strategy: strategy } = (await answer.json()) as { auth_strategy: Strategy } // SignInOffer of src/server/ui
  const kept = strategy === 'noauth' ? undefined : keptSession(strategy)
  if (strategy === 'noauth') signIn({ strategy, headers: {}, user: null, scope: null, roles: [] })
  else if (kept) signIn(kept)
  else change({ kind: 'out', strategy })
}

export function signIn(session: Session): void {
  if (session.strategy !== 'noauth') sessionStorage.setItem(storageKey, JSON.stringify(session))
  change({ kind: 'in', session })
}

/** Forgets the user: asked for, or because the service no longer takes what the session holds. */
export function signOut(): void {
  sessionStorage.removeItem(storageKey)
  if (state.kind === 'in' && state.session.strategy !== 'noauth')
    change({ kind: 'out', strategy: state.session.strategy })
}

function keptSession(strategy: Strategy): Session | undefined {
  try {
    const kept: Session | null = JSON.parse(sessionStorage.getItem(storageKey) ?? 'null') // signIn() wrote it
    return kept?.strategy === strategy ? kept : undefined
  } catch {
    return undefined
  }
}

function change(next: State): void {
  state = next
  for (const listener of listeners) listener()
}
