import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeContext, VendorInterface } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'
import { listedMethods, vendorMethod } from './vendor-methods.ts'

const reset = {
  http_methods: ['POST'],
  description: 'restarts it',
  async: true,
  require_exclusive_lock: true,
  run: async () => 'done',
} as const
const vendor: VendorInterface = { validate: async () => {}, methods: { reset } }
const of = (interfaces: { vendor: VendorInterface }) => ({ node: { uuid: 'n1' }, interfaces }) as unknown as NodeContext // all that is read

test('a listed method is found by its name and HTTP method', () => {
  const { run, ...told } = reset
  assert.deepEqual(listedMethods(vendor), { reset: { ...told, attach: false } })
  assert.equal(vendorMethod(of({ vendor }), { method: 'reset', httpMethod: 'POST', args: {} }), reset)
})

test('others are refused by name, with what there is', () => {
  const refused = (method: string, httpMethod: string, said: RegExp, has = vendor) =>
    assert.throws(
      () => vendorMethod(of({ vendor: has }), { method, httpMethod, args: {} }),
      (error: Error) => error instanceof InvalidInput && said.test(error.message),
    )
  refused('eject', 'POST', /has no vendor method "eject"; expected one of reset/)
  refused('constructor', 'POST', /has no vendor method "constructor"/)
  refused('reset', 'GET', /has vendor method "reset" by POST, and was asked by GET/)
  refused('eject', 'POST', /has no vendor method "eject"$/, { validate: async () => {} })
  assert.deepEqual(listedMethods({ validate: async () => {} }), {})
})
