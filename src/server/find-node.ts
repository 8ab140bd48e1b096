/** Finds the node that a path or an argument names. */
import { findNodeByIdent, type Node } from '#db/nodes.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { uuidPattern } from '#protocol/field.ts'
import type { Call } from './endpoint.ts'
import { seesNode } from './policy/access.ts'

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

/** A node that the caller may do with what the endpoint does. @throws NotFound also where it may not know of the node; Forbidden */
export async function mustFindNode(call: Pick<Call, 'db' | 'version' | 'allow' | 'may'>, ident: string): Promise<Node> {
  const node = await mustSeeNode(call, ident)
  call.allow(node)
  return node
}

/**
 * Does work under the lease of a node that mustFindNode() found, if the caller may do it still: the node may have got
 * another owner while it was waited for. The history tells `told`.
 * @throws Forbidden, NodeLocked, and what the work throws
 */
export async function holding<T>(
  call: Pick<Call, 'conductor' | 'caller' | 'allow'>,
  node: Pick<Node, 'uuid'>,
  { purpose, told }: { purpose: string; told: string },
  work: (held: Held) => Promise<T>,
): Promise<T> {
  return call.conductor.withNode(node.uuid, { purpose, told, caller: call.caller }, held => {
    call.allow(held.node)
    return work(held)
  })
}
type Held = Parameters<Parameters<Call['conductor']['withNode']>[2]>[0]

/** A node that the caller may know of. @throws NotFound */
export async function mustSeeNode(call: Pick<Call, 'db' | 'version' | 'may'>, ident: string): Promise<Node> {
  for (const one of candidates(ident, call.version, 5)) {
    const node = await findNodeByIdent(call.db, one)
    if (node && seesNode(call, node)) return node
  }
  throw new NotFound(`Node ${ident} could not be found.`)
}

/**
 * The node that is named by the body of a request that adds something to it, or moves something there. A wrong one is
 * the body's fault, not the path's. Who may not use the node learns nothing of it, not even whether there is one.
 * @param attempt what the message begins with: `Cannot attach the port to node …`
 * @throws Forbidden, InvalidInput
 */
export async function mustFindNamedNode(
  call: Pick<Call, 'db' | 'version' | 'allow'>,
  ident: string,
  attempt: string,
): Promise<Node> {
  for (const one of candidates(ident, call.version, 5)) {
    const node = await findNodeByIdent(call.db, one)
    if (!node) continue
    call.allow(node)
    return node
  }
  call.allow(nobodysNode)
  throw new InvalidInput(`${attempt} ${ident}: it could not be found`)
}

const nobodysNode = { owner: null, lessee: null }

/**
 * The node to which a patch moves something of `from`: one that the caller sees, of the same owner.
 * @throws InvalidInput
 */
export async function mustFindNextNode(
  call: Pick<Call, 'db' | 'version' | 'may'>,
  ident: string,
  { from, attempt }: { from: Pick<Node, 'owner'>; attempt: string },
): Promise<Node> {
  for (const one of candidates(ident, call.version, 5)) {
    const node = await findNodeByIdent(call.db, one)
    if (node && seesNode(call, node) && node.owner === from.owner) return node
  }
  throw new InvalidInput(`${attempt} ${ident}: it could not be found, or has another owner`)
}
