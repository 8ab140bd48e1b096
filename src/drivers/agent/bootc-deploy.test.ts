/** What the `bootc` deploy interface takes, and how it tells a container from a file in the same kind of registry. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import type { BootInterface } from '../boot-interfaces.ts'
import { testContext } from '../test-context.ts'
import bootc from './bootc-deploy.ts'

const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const config = (mediaType: string) => ({ mediaType, digest: `sha256:${'a'.repeat(64)}`, size: 2 })
const layers = [{ mediaType: 'application/x', digest: `sha256:${'b'.repeat(64)}`, size: 2 }]
const manifests: Record<string, object> = {
  container: { mediaType: manifestType, config: config('application/vnd.oci.image.config.v1+json'), layers },
  file: { mediaType: manifestType, config: config('application/vnd.oci.empty.v1+json'), layers },
  artifact: { mediaType: manifestType, artifactType: 'x/disk', config: config('x/y'), layers },
}
const server = createServer((request, response) => {
  const [, name = ''] = /^\/v2\/os\/manifests\/(\w+)$/.exec(request.url ?? '') ?? []
  const found = manifests[name]
  response.writeHead(found ? 200 : 404, { 'content-type': manifestType }).end(JSON.stringify(found ?? {}))
})
let host = ''
before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  host = `127.0.0.1:${(server.address() as AddressInfo).port}` // it listens on TCP
})
after(() => server.close())

const contextOf = (instance_info: Record<string, unknown>) =>
  testContext({
    node: { instance_info },
    interfaces: { boot: { validate: async () => {} } as unknown as BootInterface }, // what validation uses of it
    config: { oci: { permit_fallback_to_http_transport: true } },
  })

test('a container in a registry is deployed; its registry is asked for nothing else', async () => {
  await bootc.validate(
    await contextOf({ image_source: 'oci://quay.example/os/server:9', bootc_authorized_keys: 'ssh-…' }),
  )
})

const refusals: [what: string, info: Record<string, unknown>, message: RegExp][] = [
  ['nothing', {}, /image_source is null; expected oci:\/\/HOST\/PATH of a bootable container/],
  ['a URL', { image_source: 'https://quay.example/os' }, /image_source is "https:.*expected oci:/],
  ['half a reference', { image_source: 'oci://quay.example' }, /names nothing in a registry/],
  [
    'keys as a list',
    { image_source: 'oci://quay.example/os', bootc_authorized_keys: ['a'] },
    /bootc_authorized_keys is a object; expected a text/,
  ],
  [
    'a hint that is none',
    { image_source: 'oci://q.example/os', root_device: { colour: 'red' } },
    /hint colour: found "red", expected one of size/,
  ],
]
for (const [what, info, message] of refusals) {
  test(`refused: ${what}`, async () => assert.rejects(bootc.validate(await contextOf(info)), message))
}

test('chosen for containers alone, and not while the registry cannot be asked', async () => {
  const chosen = async (image_source?: string) => bootc.supportsDeploy(await contextOf({ image_source }))
  assert.equal(await chosen(`oci://${host}/os:container`), true)
  assert.equal(await chosen(`oci://${host}/os:file`), false)
  assert.equal(await chosen(`oci://${host}/os:artifact`), false)
  assert.equal(await chosen(`oci://${host}/os:missing`), false)
  assert.equal(await chosen(`http://${host}/os.img`), false)
  assert.equal(await chosen(), false)
})
