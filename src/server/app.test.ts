import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from './test-api.ts'

let api: TestApi
before(async () => {
  api = await startApi({ api: { max_json_body_size: 64, max_json_body_size_provision: 256 } })
  await api.node({ name: 'n1' })
})
after(() => api[Symbol.asyncDispose]())

/** Sends bytes as they are and reads the answer until the server has nothing more to say. */
async function rawCall(text: string): Promise<string> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
  let answer = ''
  socket.on('data', data => {
    answer += String(data)
  })
  socket.write(text)
  await Promise.race([once(socket, 'close'), new Promise(resolve => setTimeout(resolve, 300))])
  socket.destroy()
  return answer
}

test('the root tells the range of versions, also to callers without one', async () => {
  for (const path of ['/', '']) {
    const { status, json } = await api.call('GET', path, { version: null })
    assert.equal(status, 200)
    const { default_version } = json as { default_version: Record<string, unknown> }
    assert.deepEqual([default_version.min_version, default_version.version], ['1.1', '1.115'])
  }
})

test('v1 shows the collections of the version', async () => {
  const at = async (version: string | null) => Object.keys((await api.call('GET', '/v1/', { version })).json as object)
  assert.ok(!(await at(null)).includes('lookup'))
  assert.ok((await at('1.22')).includes('heartbeat'))
  assert.ok(!(await at('1.48')).includes('conductors'))
  assert.ok((await at('1.49')).includes('conductors'))
})

test('paths work without /v1 and with slashes at their end', async () => {
  for (const path of ['/v1/nodes/n1', '/v1/nodes/n1/', '/nodes/n1', '/nodes/n1//', '/v1/nodes/n1/?fields=uuid']) {
    assert.equal((await api.call('GET', path)).status, 200, path)
  }
})

test('every answer names its request and the versions', async () => {
  for (const [path, status] of [
    ['/v1/nodes', 200],
    ['/v1/nodes/nope', 404],
    ['/v1/nowhere', 404],
    ['/v1/nodes/a%20b', 400],
  ] as const) {
    const { headers, ...reply } = await api.call('GET', path, {
      version: '1.80',
      headers: { 'X-OpenStack-Request-Id': 'req-x' },
    })
    assert.equal(reply.status, status, path)
    assert.match(headers.get('x-openstack-request-id') ?? '', /^req-[0-9a-f-]{36}$/)
    assert.equal(headers.get('openstack-request-id'), headers.get('x-openstack-request-id'))
    assert.equal(headers.get('x-openstack-ironic-api-version'), '1.80')
    assert.equal(headers.get('x-openstack-ironic-api-minimum-version'), '1.1')
    assert.equal(headers.get('x-openstack-ironic-api-maximum-version'), '1.115')
  }
})

test('a version that cannot be served is 406, with the limits', async () => {
  const tooNew = await api.call('GET', '/v1/nodes', { version: '1.999' })
  assert.equal(tooNew.status, 406)
  assert.equal(tooNew.headers.get('x-openstack-ironic-api-maximum-version'), '1.115')
  assert.equal(tooNew.headers.get('x-openstack-ironic-api-version'), null)
  const odd = await api.call('GET', '/', { version: 'x.y' })
  assert.equal(odd.status, 406)
  assert.equal(odd.headers.get('x-openstack-ironic-api-minimum-version'), '1.1')
  assert.equal(odd.headers.get('x-openstack-ironic-api-maximum-version'), '1.115')
  assert.equal(odd.headers.get('x-openstack-ironic-api-version'), null)
})

test('errors of handlers and of routing are JSON inside JSON, each in its own form', async () => {
  const inner = (json: unknown) => JSON.parse((json as { error_message: string }).error_message)
  const handler = await api.call('GET', '/v1/nodes/nope')
  assert.deepEqual(inner(handler.json), {
    faultcode: 'Client',
    faultstring: 'Node nope could not be found.',
    debuginfo: null,
  })
  const routing = await api.call('GET', '/v1/nowhere')
  assert.equal(inner(routing.json).code, 404)
  assert.equal(inner(routing.json).title, 'Not Found')
  assert.match(inner(routing.json).description, /\/v1\/nowhere/)
})

test('a method that is not offered is 405 with the ones that are', async () => {
  const { status, headers } = await api.call('PUT', '/v1/nodes')
  assert.equal(status, 405)
  assert.equal(headers.get('allow'), 'GET, POST')
  assert.equal((await api.call('OPTIONS', '/v1/nodes')).status, 200)
  assert.equal((await fetch(`${api.url}/v1/nodes`, { method: 'HEAD' })).status, 405)
})

test('an endpoint that is newer than the version is not there', async () => {
  assert.equal((await api.call('GET', '/v1/conductors', { version: '1.48' })).status, 404)
  assert.equal((await api.call('GET', '/v1/lookup?addresses=52:54:00:00:00:01', { version: '1.21' })).status, 404)
  assert.equal((await api.call('PUT', '/v1/nodes/n1/management/inject_nmi', { version: '1.28' })).status, 404)
})

test('only JSON comes out', async () => {
  for (const accept of ['*/*', 'application/json', 'text/html, application/json;q=0.9', 'application/*']) {
    assert.equal((await api.call('GET', '/v1/nodes', { headers: { Accept: accept } })).status, 200, accept)
  }
  assert.equal((await api.call('GET', '/v1/nodes', { headers: { Accept: 'text/html' } })).status, 406)
})

test('whole bodies are read whatever they call themselves', async () => {
  for (const type of ['application/json', 'text/plain', 'application/json-patch+json', 'a;b;c', '']) {
    const reply = await api.call('PATCH', '/v1/nodes/n1', {
      raw: '[{"op":"add","path":"/extra/k","value":1}]',
      headers: { 'Content-Type': type },
    })
    assert.equal(reply.status, 200, type)
  }
})

test('named arguments count in a JSON body and in the query, and nowhere else', async () => {
  const put = (options: { raw?: string; headers?: Record<string, string> }, query = '') =>
    api.call('PUT', `/v1/nodes/n1/management/boot_device${query}`, options)
  assert.equal((await put({ raw: '{"boot_device":"pxe"}' })).status, 204)
  assert.equal((await put({ raw: '{"boot_device":"pxe"}', headers: { 'Content-Type': 'text/plain' } })).status, 400)
  assert.equal((await put({}, '?boot_device=disk&persistent=yes')).status, 204)
  assert.deepEqual((await api.call('GET', '/v1/nodes/n1/management/boot_device')).json, {
    boot_device: 'disk',
    persistent: true,
  })
  assert.equal((await put({ raw: '{"boot_device":"pxe","x":1}' })).status, 400)
  assert.equal((await put({ raw: '{"boot_device":"pxe"}' }, '?y=1')).status, 400)
  assert.equal((await put({ raw: '{"boot_device":"pxe","persistent":"perhaps"}' })).status, 400)
})

test('what odd clients send is understood', async () => {
  const uuid = await api.node()
  const empty = { 'Content-Type': 'application/json' }
  assert.equal((await api.call('PUT', `/v1/nodes/${uuid}/maintenance`, { raw: '', headers: empty })).status, 202)
  assert.equal((await api.call('PUT', `/v1/nodes/${uuid}/maintenance`, { raw: 'null' })).status, 202)
  const deletion = await rawCall(
    `DELETE /v1/nodes/${uuid} HTTP/1.1\r\nHost: h\r\nX-OpenStack-Ironic-API-Version: 1.80\r\n` +
      'Content-Type: application/octet-stream\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  )
  assert.match(deletion, /^HTTP\/1.1 204 /)
  assert.doesNotMatch(deletion, /content-type/i)
  const getWithBody = await rawCall(
    'GET /v1/nodes/n1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n' +
      'X-OpenStack-Ironic-API-Version: 1.5\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
  )
  assert.match(getWithBody, /^HTTP\/1.1 200 /)
})

test('bodies that are no JSON, too deep, too large, or null are refused in their ways', async () => {
  const post = (raw: string) => api.call('POST', '/v1/nodes', { raw })
  assert.match((await post('{"driver": ')).fault, /not JSON/)
  assert.equal((await post('null')).status, 400)
  assert.equal((await api.call('PATCH', '/v1/nodes/n1', { raw: 'null' })).status, 400)
  const deep = await post(`{"driver":"fake-hardware","extra":${'{"a":'.repeat(25)}1${'}'.repeat(25)}}`)
  assert.deepEqual([deep.status, Object.keys(deep.json as object)], [400, ['faultcode', 'faultstring']])
  assert.equal((await post(`{"driver":"fake-hardware","extra":${'{"a":'.repeat(23)}1${'}'.repeat(23)}}`)).status, 201)
  assert.equal((await post(`{"extra":${'['.repeat(30_000)}${']'.repeat(30_000)}}`)).status, 400)
  const large = JSON.stringify({ driver: 'fake-hardware', extra: { a: 'x'.repeat(66_000) } })
  const tooLarge = await post(large)
  assert.deepEqual([tooLarge.status, Object.keys(tooLarge.json as object)], [413, ['faultcode', 'faultstring']])
  const provision = { target: 'active', configdrive: 'A'.repeat(200_000) }
  assert.equal((await api.call('PUT', '/v1/nodes/n1/states/provision', { body: provision })).status, 400)
})

test('unknown arguments are named, malformed ones explained', async () => {
  assert.match((await api.call('GET', '/v1/nodes?shrad=1')).fault, /^Unexpected arguments: shrad/)
  assert.match((await api.call('GET', '/v1/nodes/n1?x=1&y=2')).fault, /x, y/)
  for (const query of [
    'limit=0',
    'limit=-1',
    'limit=x',
    'marker=x',
    'sort_dir=up',
    'maintenance=perhaps',
    'instance_uuid=1',
    'limit=1&limit=2',
  ]) {
    assert.equal((await api.call('GET', `/v1/nodes?${query}`)).status, 400, query)
  }
})

test('links follow the request, unless the configuration names the endpoint', async () => {
  const link = (json: unknown) => (json as { links: { href: string }[] }).links[0]?.href
  assert.match(link((await api.call('GET', '/v1/nodes/n1')).json) ?? '', /^http:\/\/127\.0\.0\.1:\d+\/v1\/nodes\//)
  await using configured = await startApi({ api: { public_endpoint: 'https://api.example/baremetal' } })
  const uuid = await configured.node()
  assert.equal(
    link((await configured.call('GET', `/v1/nodes/${uuid}`)).json),
    `https://api.example/baremetal/v1/nodes/${uuid}`,
  )
  await using proxied = await startApi({ oslo_middleware: { enable_proxy_headers_parsing: true } })
  const headers = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'front', 'X-Forwarded-Prefix': '/bm' }
  assert.equal(link((await proxied.call('GET', '/v1/', { headers })).json), 'https://front/bm/v1/')
})

test('a host header cannot break out of the links', async () => {
  const answer = await rawCall('GET /v1/nodes HTTP/1.1\r\nHost: a"b\\c\r\nConnection: close\r\n\r\n')
  assert.doesNotThrow(() => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))))
})

test('a bug answers 500 without telling more than the request id', async () => {
  await using broken = await startApi()
  broken.conductor.validate = () => Promise.reject(new TypeError('secret detail'))
  const uuid = await broken.node()
  const { status, fault, headers } = await broken.call('GET', `/v1/nodes/${uuid}/validate`)
  assert.equal(status, 500)
  assert.match(fault, new RegExp(headers.get('x-openstack-request-id') ?? 'missing'))
  assert.doesNotMatch(fault, /secret detail/)
})

test('every endpoint asks whether the caller may, unless it is public', async () => {
  const { endpoints } = await import('./endpoints.ts')
  const ids = endpoints.map(one => one.id)
  assert.equal(new Set(ids).size, ids.length, 'ids are unique')
  for (const { id, policy, response, status } of endpoints) {
    if (policy !== 'public') assert.ok(policy.length > 0 && policy.every(one => one.startsWith('baremetal:')), id)
    if (status === 204) assert.equal(response, null, id)
  }
})
