/**
 * By what machines are compared: maker and product as an inspection found them; without one, what the operator calls
 * alike and how it is driven. Pure.
 */
import type { Node } from '#db/nodes.ts'

/** What inspections keep of a machine's maker. */
export interface SystemVendor {
  manufacturer?: unknown
  product_name?: unknown
}

/** The name of the model; machines of one name should take the same time for the same work. */
export function modelOf(
  { resource_class, driver }: Pick<Node, 'resource_class' | 'driver'>,
  vendor: SystemVendor | null,
): string {
  const words = [vendor?.manufacturer, vendor?.product_name].flatMap(word =>
    typeof word === 'string' && word.trim() !== '' ? [word.trim()] : [],
  )
  const [, product] = words
  if (product !== undefined) return words.join(' ').slice(0, 200)
  return `${resource_class ?? 'no resource class'} (${driver})`.slice(0, 200)
}
