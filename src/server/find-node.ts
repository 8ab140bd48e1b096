/** Finds the node that a path or an argument names. */
import { findNodeByIdent, type Node } from '#db/nodes.ts'
import { NotFound } from '#lib/fault.ts'
import { uuidPattern } from '#protocol/field.ts'
import type { Call } from './endpoint.ts'

const uuidRegex = new RegExp(uuidPattern)

export function looksLikeUuid(ident: string): boolean {
  return uuidRegex.test(ident)
}

/**
 * The spellings under which a thing may be known: below 1.91 a `.json` at the end is taken off first, and names count
 * from the version that has them.
 */
export function candidates(ident: string, version: number, namesFrom: number): string[] {
  const spellings = version < 91 && ident.endsWith('.json') ? [ident.slice(0, -5), ident] : [ident]
  return spellings.filter(one => one !== '' && (version >= namesFrom || looksLikeUuid(one)))
}

/** @throws NotFound */
export async function mustFindNode(call: Pick<Call, 'db' | 'version' | 'allow'>, ident: string): Promise<Node> {
  for (const one of candidates(ident, call.version, 5)) {
    const node = await findNodeByIdent(call.db, one)
    if (!node) continue
    call.allow(node)
    return node
  }
  throw new NotFound(`Node ${ident} could not be found.`)
}
