/** Vendor methods: which ones a node's driver has, and the one that is called. Nothing is called here. */
import type { NodeContext, VendorInterface, VendorMethod } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { VendorCall, VendorMethodView } from './conductor.ts'

export function listedMethods({ methods = {} }: VendorInterface): Record<string, VendorMethodView> {
  const views = Object.entries(methods).map(([name, method]) => {
    const { http_methods, async, require_exclusive_lock, description } = method
    return [name, { http_methods, async, attach: false, require_exclusive_lock, description }] as const
  })
  return Object.fromEntries(views)
}

/** @throws InvalidInput naming the methods that there are */
export function vendorMethod({ node, interfaces }: NodeContext, { method, httpMethod }: VendorCall): VendorMethod {
  const { methods = {} } = interfaces.vendor
  const cannot = `Cannot call node ${node.uuid}: it`
  const found = Object.hasOwn(methods, method) ? methods[method] : undefined
  if (!found) {
    const has = Object.keys(methods).join(', ')
    throw new InvalidInput(
      `${cannot} has no vendor method ${JSON.stringify(method.slice(0, 80))}${has && `; expected one of ${has}`}`,
    )
  }
  if (found.http_methods.some(each => each === httpMethod)) return found
  throw new InvalidInput(
    `${cannot} has vendor method "${method}" by ${found.http_methods.join(', ')}, and was asked by ${httpMethod}`,
  )
}
