/**
 * What a database's complaints mean, whichever engine makes them: somebody else has this name, what a row refers to is
 * gone, the text cannot be kept, the database cannot be reached. Everything else is a bug and stays as it is.
 */
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'

/** The database does not answer, or has no connection free; the same request may succeed in a moment. */
export class DatabaseUnavailable extends Fault {
  readonly status = 503
  readonly code = 'database-unavailable'
}

/** The columns that must be unique and are not, with their table; undefined when that is not what happened. */
export function duplicateColumns(error: unknown): { table: string; columns: string[] } | undefined {
  if (!(error instanceof Error)) return undefined
  const sqlite = /UNIQUE constraint failed: (.+)$/.exec(error.message)?.[1]
  if (sqlite !== undefined) {
    const names = sqlite.split(', ').map(name => name.split('.'))
    return { table: names[0]?.[0] ?? '', columns: names.map(([, column]) => column ?? '') }
  }
  const { code, table, detail } = error as PostgresError
  if (code !== '23505') return undefined
  // "Key (a, b)=(…) already exists.": the words are the server's language, the brackets are not.
  const columns = /\(([^)]*)\)=\(/.exec(detail ?? '')?.[1] ?? ''
  return { table: table ?? '', columns: columns.split(', ').map(name => name.replaceAll('"', '')) }
}

/** A row refers to one that is not there, or is still referred to. */
export function isBrokenReference(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.message.includes('FOREIGN KEY constraint failed') || (error as PostgresError).code === '23503'
}

/** Two transactions waited for each other, or got into each other's way: doing the same again is right. */
export function isCollision(error: unknown): boolean {
  const { code } = (error ?? {}) as PostgresError
  return code === '40001' || code === '40P01'
}

/** What pg says of a failed statement. Source: PostgreSQL manual, "PostgreSQL Error Codes" */
interface PostgresError {
  code?: string
  table?: string
  detail?: string
}

/** Codes of PostgreSQL that say "not now": connection lost or refused, too many of them, shutting down, starting up. */
const away = /^(08...|53300|53400|57P0[1-5]|57014|55P03|25P03|58000|58030)$/
const awayByNode = /^(ECONN\w+|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|ENOENT)$/
/** What pg says without a code. */
const awayByWords = /connection terminated|timeout exceeded when trying to connect|connection error|not queryable/i

/** Whether the database could not be reached, or gave up for lack of time. */
export function isAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code = '' } = error as PostgresError
  return away.test(code) || awayByNode.test(code) || awayByWords.test(error.message)
}

/** Whether the connection on which this happened is of no more use. */
export function endsConnection(error: unknown): boolean {
  const { code = '' } = (error ?? {}) as PostgresError
  return isAway(error) && code !== '57014' && code !== '55P03'
}

/** What the caller is told instead of PostgreSQL's own words; errors of statements that are bugs stay as they are. */
export function translated(error: unknown): unknown {
  const { code } = (error ?? {}) as PostgresError
  if (isAway(error)) {
    const slow = code === '57014' || code === '55P03'
    const what = slow ? 'the database took too long' : 'the database cannot be reached'
    return new DatabaseUnavailable(`Cannot read or write what is known: ${what} (${messageOf(error)}); try again`, {
      cause: error,
    })
  }
  // 22021: a zero byte in a text; 22003: a number beyond 64 bits.
  if (code === '22021') return new InvalidInput('Cannot store a text with the character U+0000', { cause: error })
  if (code === '22003') return new InvalidInput('Cannot store a number beyond 64 bits', { cause: error })
  return error
}
