/** Requests that cannot be served, over the real service: each answer names the cause, and nothing is changed by it. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Bench } from './faults/bench.ts'

const newest = '1.115'

describe('what the API refuses', () => {
  let bench: Bench

  before(async () => {
    bench = await Bench.open({ DEFAULT: { enabled_hardware_types: 'redfish,fake-hardware' } })
  })
  after(() => bench?.close())

  test('a MAC address that another port has', async () => {
    const [first, second] = await Promise.all([create('mac-1'), create('mac-2')])
    const { json: port } = await call('POST', '/v1/ports', { node_uuid: first, address: '52:54:00:0a:0b:0c' })
    const again = await call('POST', '/v1/ports', { node_uuid: second, address: '52:54:00:0A:0B:0C' })
    assert.equal(again.status, 409)
    assert.match(again.fault, new RegExp(`52:54:00:0a:0b:0c already exists: port ${port.uuid} of node ${first}`))

    const { json: other } = await call('POST', '/v1/ports', { node_uuid: second, address: '52:54:00:0a:0b:0d' })
    const patch = [{ op: 'replace', path: '/address', value: '52:54:00:0a:0b:0c' }]
    const moved = await call('PATCH', `/v1/ports/${other.uuid}`, patch)
    assert.equal(moved.status, 409)
    assert.match(moved.fault, new RegExp(`52:54:00:0a:0b:0c .*port ${port.uuid} of node ${first}`))
    assert.equal((await call('GET', `/v1/ports/${other.uuid}`)).json.address, '52:54:00:0a:0b:0d')
    // Another address, and the operator goes on.
    const free = [{ op: 'replace', path: '/address', value: '52:54:00:0a:0b:0e' }]
    assert.equal((await call('PATCH', `/v1/ports/${other.uuid}`, free)).status, 200)
  })

  test('a name that another node has', async () => {
    await create('name-1')
    const { status, fault } = await call('POST', '/v1/nodes', { name: 'name-1', driver: 'fake-hardware' })
    assert.equal(status, 409)
    assert.match(fault, /"name-1" already exists/)
  })

  test('a body that is not JSON', async () => {
    const { status, fault } = await call('POST', '/v1/nodes', undefined, { raw: '{"driver": "fake-hardware",' })
    assert.equal(status, 400)
    assert.match(fault, /JSON/)
    const uuid = await create('json-1')
    for (const raw of ['{"target"', '[]', '"active"']) {
      const answer = await call('PUT', `/v1/nodes/${uuid}/states/provision`, undefined, { raw })
      assert.equal(answer.status, 400, raw)
      assert.match(answer.fault, /JSON|object|body/, raw)
    }
  })

  test('a field that nobody knows', async () => {
    const { status, fault } = await call('POST', '/v1/nodes', { driver: 'fake-hardware', driver_inof: {} })
    assert.equal(status, 400)
    assert.match(fault, /driver_inof/)
    assert.match(fault, /did you mean driver_info\?.*expected .*\bname\b/)
    const uuid = await create('field-1')
    const patched = await call('PATCH', `/v1/nodes/${uuid}`, [{ op: 'add', path: '/colour', value: 'blue' }])
    assert.equal(patched.status, 400)
    assert.match(patched.fault, /colour/)
    assert.match(patched.fault, /\bdriver_info\b/, 'what is known')
    const listed = await call('GET', '/v1/nodes?fields=uuid,colour')
    assert.equal(listed.status, 400)
    assert.match(listed.fault, /colour/)
  })

  test('a version that is not spoken', async () => {
    for (const version of ['1.999', '2.1', '0.9', '1.0']) {
      const answer = await call('GET', '/v1/nodes', undefined, { version })
      assert.equal(answer.status, 406, version)
      assert.match(answer.fault, new RegExp(`${version.replace('.', '\\.')}.*1\\.1 to 1\\.115`))
      assert.equal(answer.headers.get('x-openstack-ironic-api-minimum-version'), '1.1')
      assert.equal(answer.headers.get('x-openstack-ironic-api-maximum-version'), newest)
    }
    const unreadable = await call('GET', '/v1/nodes', undefined, { version: 'newest' })
    assert.equal(unreadable.status, 406)
    assert.match(unreadable.fault, /"newest".*1\.N or latest/)
    // What came with a later version does not exist in an earlier one.
    const early = { name: 'early', driver: 'fake-hardware', automated_clean: false }
    const refused = await call('POST', '/v1/nodes', early, { version: '1.46' })
    assert.equal(refused.status, 406)
    assert.match(refused.fault, /automated_clean.*1\.47/)
  })

  test('a driver or interface that is not there', async () => {
    const driver = await call('POST', '/v1/nodes', { name: 'driver-1', driver: 'ipmi' })
    assert.equal(driver.status, 400)
    assert.match(driver.fault, /ipmi.*redfish/, 'what there is')
    const wrong = { name: 'driver-2', driver: 'redfish', power_interface: 'ipmitool' }
    const refused = await call('POST', '/v1/nodes', wrong)
    assert.equal(refused.status, 400)
    assert.match(refused.fault, /power.*ipmitool.*redfish|ipmitool.*power.*redfish/)
    const uuid = await create('driver-3')
    const patch = [{ op: 'replace', path: '/deploy_interface', value: 'ansible' }]
    const patched = await call('PATCH', `/v1/nodes/${uuid}`, patch)
    assert.equal(patched.status, 400)
    assert.match(patched.fault, /ansible/)
    for (const name of ['driver-1', 'driver-2']) assert.equal((await call('GET', `/v1/nodes/${name}`)).status, 404)
  })

  test('a deployment without an image, or without its checksum', async () => {
    const { json: node } = await call('POST', '/v1/nodes', {
      name: 'image-1',
      driver: 'fake-hardware',
      deploy_interface: 'direct',
      boot_interface: 'fake',
      automated_clean: false,
    })
    assert.ok(node.uuid, JSON.stringify(node))
    await bring('image-1', 'manage', 'manageable')
    await bring('image-1', 'provide', 'available')
    const refused = async (info: object, expected: RegExp) => {
      await call('PATCH', '/v1/nodes/image-1', [{ op: 'replace', path: '/instance_info', value: info }])
      const { status, fault } = await call('PUT', '/v1/nodes/image-1/states/provision', { target: 'active' })
      assert.equal(status, 400, fault)
      assert.match(fault, expected)
      const { json: still } = await call('GET', '/v1/nodes/image-1')
      assert.deepEqual([still.provision_state, still.reservation, still.last_error], ['available', null, null])
    }
    await refused({}, /image_source/)
    const image_source = 'http://127.0.0.1:1/disk.raw'
    await refused({ image_source }, /no checksum.*image_checksum/)
    await refused({ image_source: 'disk.raw', image_checksum: '0'.repeat(64) }, /image_source.*disk\.raw/)
    await refused({ image_source, image_checksum: 'abc' }, /image_checksum has 3 hex digits; expected/)
    await refused({ image_source, image_os_hash_algo: 'crc32', image_os_hash_value: '00' }, /crc32.*sha256/)
    await refused({ image_source, image_checksum: '0'.repeat(64) }, /127\.0\.0\.1:1/)
  })

  test('a verb that does not fit the state', async () => {
    const uuid = await create('verb-1')
    const put = (target: string) => call('PUT', `/v1/nodes/${uuid}/states/provision`, { target })
    const attempts = {
      active: 'deploy node X',
      provide: 'make node X available',
      rebuild: 'rebuild node X',
      deleted: 'undeploy node X',
      inspect: 'inspect node X',
      abort: 'abort the work on node X',
    }
    for (const [target, attempt] of Object.entries(attempts)) {
      const { status, fault } = await put(target)
      assert.equal(status, 400, target)
      assert.match(fault, new RegExp(`Cannot ${attempt.replace('X', uuid)}.*"enroll"`))
    }
    const unknown = await put('activate')
    assert.equal(unknown.status, 400)
    assert.match(unknown.fault, /activate.*active/)
    assert.equal((await call('GET', `/v1/nodes/${uuid}`)).json.provision_state, 'enroll')
    // The node is none the worse for it.
    await bring('verb-1', 'manage', 'manageable')
  })

  async function create(name: string): Promise<string> {
    const { json } = await call('POST', '/v1/nodes', { name, driver: 'fake-hardware' })
    return String(json.uuid)
  }

  async function bring(name: string, target: string, state: string): Promise<void> {
    await bench.api.put(`/v1/nodes/${name}/states/provision`, { target })
    let found: unknown
    await bench.until(`${name} is ${state}`, async () => {
      found = (await bench.api.get(`/v1/nodes/${name}`)).provision_state
      return found === state
    })
  }

  /** One request as it is, without the retries of a client. `fault` is the sentence inside an error. */
  async function call(
    method: string,
    path: string,
    body?: unknown,
    { raw, version = newest }: { raw?: string; version?: string } = {},
  ) {
    const response = await fetch(bench.service.endpoint + path, {
      method,
      headers: { 'content-type': 'application/json', 'x-openstack-ironic-api-version': version },
      body: raw ?? (body === undefined ? null : JSON.stringify(body)),
    })
    const text = await response.text()
    // A JSON object with whatever fields the endpoint has; asserted one by one.
    const json = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>
    const inner = typeof json.error_message === 'string' ? JSON.parse(json.error_message) : {}
    const fault = String(inner.faultstring ?? inner.description ?? json.faultstring ?? '')
    return { status: response.status, headers: response.headers, json, fault }
  }
})
