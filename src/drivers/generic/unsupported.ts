/**
 * The interfaces named "no-…": a node that has one says that the feature is not there. Their validation is the answer
 * that `node validate` shows as "not supported".
 */
import type { InterfaceType } from '#protocol/interfaces.ts'
import { type NodeContext, type PlainInterface, Unsupported } from '../driver.ts'

/** The validation of a "no-…" interface. */
export function refusing(type: InterfaceType, what: string): (ctx: NodeContext) => Promise<void> {
  return async ctx => {
    throw new Unsupported(`${what} is not supported by the ${type} interface no-${type} of node ${ctx.node.uuid}`)
  }
}

export function unsupported(type: InterfaceType, what: string): PlainInterface {
  return { validate: refusing(type, what) }
}
