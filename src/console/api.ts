/**
 * The console's client of the public API: versions, errors, pages of lists. It asks only the service that the page came
 * from; links in answers are taken as paths, for a service behind a proxy may not know its own name.
 */
import { maximum, versionText } from '#protocol/microversion.ts'
import { sessionHeaders, signOut } from './session.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Question {
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>
  readonly body?: unknown
  readonly signal?: AbortSignal
}

/** What the service answered instead of what was asked for. */
export class ApiFault extends Error {
  readonly status: number
  /** The service's own name of this request, by which its log tells more. */
  readonly requestId: string | null
  constructor(status: number, message: string, requestId: string | null) {
    super(message)
    this.status = status
    this.requestId = requestId
  }
}

/** One request; the answer's JSON, or undefined where it has no body. @throws ApiFault */
export async function ask<T>(method: Method, path: string, question: Question = {}): Promise<T> {
  const answer = await send(method, path, question)
  const text = await answer.text()
  return (text === '' ? undefined : JSON.parse(text)) as T // callers name what the endpoint's declaration says
}

export const get = <T>(path: string, question?: Question) => ask<T>('GET', path, question)

/** A value in a path. */
export const part = (text: string) => encodeURIComponent(text)

/** The answer itself, for streams. @throws ApiFault */
export async function send(
  method: Method,
  path: string,
  { query, body, signal }: Question,
  accept = 'application/json',
): Promise<Response> {
  const answer = await fetch(path + queryText(query), {
    method,
    // Without it a browser would ask for a password by itself when it is refused.
    credentials: 'omit',
    cache: 'no-store',
    headers: {
      accept,
      'x-openstack-ironic-api-version': versionText(maximum),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...sessionHeaders(),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error
    throw new ApiFault(0, 'The service does not answer', null)
  })
  if (answer.ok) return answer
  if (answer.status === 401) signOut()
  throw new ApiFault(answer.status, faultText(await answer.text()), answer.headers.get('x-openstack-request-id'))
}

/** Every page of a list, one after another. @param key the list's name in the answer */
export async function* pages<T>(path: string, key: string, question: Question = {}): AsyncGenerator<readonly T[]> {
  let next: string | undefined = path + queryText(question.query)
  while (next !== undefined) {
    const answer: Record<string, unknown> = await get(next, question.signal ? { signal: question.signal } : {})
    yield (answer[key] ?? []) as readonly T[] // callers name what the endpoint's declaration says
    next = typeof answer.next === 'string' ? pathOf(answer.next) : undefined
  }
}

/** The whole of a list. */
export async function all<T>(path: string, key: string, question?: Question): Promise<T[]> {
  const items: T[] = []
  for await (const page of pages<T>(path, key, question)) items.push(...page)
  return items
}

function queryText(query: Question['query'] = {}): string {
  const given = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(',') : String(value)]],
  )
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url, location.origin)
  return pathname + search
}

/** The message in each of the forms that Ironic's errors have. */
function faultText(text: string): string {
  try {
    const body = JSON.parse(text)
    const told = typeof body.error_message === 'string' ? JSON.parse(body.error_message) : (body.error_message ?? body)
    return String(told.faultstring ?? told.description ?? told.error?.message ?? told.message ?? text)
  } catch {
    return text.slice(0, 1000)
  }
}
