/** What no driver can do yet: requests are checked, and refused for the reason that holds. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
let node: string
before(async () => {
  api = await startApi()
  node = await api.node({ name: 'n1' })
})
after(() => api[Symbol.asyncDispose]())

const check = async (method: string, path: string, expected: [status: number, said?: RegExp], body?: unknown) => {
  const { status, fault } = await api.call(method, `/v1/${path}`, body === undefined ? {} : { body })
  assert.equal(status, expected[0], `${method} ${path}: ${fault}`)
  if (expected[1]) assert.match(fault, expected[1])
}

test('indicators: none listed, each refused', async () => {
  const path = 'nodes/n1/management/indicators'
  assert.deepEqual((await api.call('GET', `/v1/${path}`)).json, { indicators: [] })
  await check('GET', `${path}/led`, [400, /NAME@COMPONENT/])
  await check('GET', `${path}/led@moon`, [400, /NAME@COMPONENT/])
  await check('GET', `${path}/led@system`, [400, /has no indicator "led@system"/])
  await check('PUT', `${path}/led@system`, [400, /has no indicator/], { state: 'on' })
  await check('PUT', `${path}/led@system`, [400, /one of off, on, blinking/], { state: 'pink' })
  await check('GET', 'nodes/nobody/management/indicators', [404])
})

test('virtual media: the request is checked before the machine', async () => {
  const path = 'nodes/n1/vmedia'
  const image = { device_type: 'cdrom', image_url: 'https://images/x.iso' }
  await check('POST', path, [400, /does not support virtual media/], image)
  await check('POST', path, [400, /device_type/], { ...image, device_type: 'tape' })
  await check('POST', path, [400, /one of http, https/], { ...image, image_url: 'gopher://user:hush@x/y' })
  await check('POST', path, [400], { image_url: 'https://x/y' })
  await check('GET', path, [400, /does not support/])
  await check('DELETE', path, [400, /does not support/])
  await check('DELETE', `${path}?device_types=cdrom,disk`, [400, /does not support/])
  await check('DELETE', `${path}?device_types=cdrom,tape`, [400, /"tape"/])
  await check('DELETE', path, [400, /"tape"/], { device_types: 'tape' })
  assert.equal((await api.call('GET', `/v1/${path}`, { version: '1.92' })).status, 404)
  assert.equal((await api.call('POST', `/v1/${path}`, { version: '1.88', body: image })).status, 404)
  assert.equal((await api.call('DELETE', `/v1/${path}`, { version: '1.88' })).status, 404)
  await api.set(node, { maintenance: true, fault: 'power failure' })
  await check('POST', path, [503], image)
})

test('vendor methods: none listed, each refused by name', async () => {
  for (const [owner, missing] of [
    ['nodes/n1', 'nodes/nobody'],
    ['drivers/redfish', 'drivers/nothing'],
  ] as const) {
    assert.deepEqual((await api.call('GET', `/v1/${owner}/vendor_passthru/methods`)).json, {})
    await check('GET', `${missing}/vendor_passthru/methods`, [404])
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      await check(method, `${owner}/vendor_passthru/eject`, [400, /no vendor method "eject"/])
      await check(method, `${owner}/vendor_passthru?method=eject`, [400, /no vendor method "eject"/])
      await check(method, `${owner}/vendor_passthru`, [400, /expected a method/])
      await check(method, `${missing}/vendor_passthru/eject`, [404])
    }
    await check('POST', `${owner}/vendor_passthru/create_subscription`, [400, /create_subscription/], { a: [1] })
  }
})
