/** The example of a hardware type from outside, loaded as an operator does, and modules that are none. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '#config/load.ts'
import { InvalidInput } from '#lib/fault.ts'
import { HardwareFault } from './driver.ts'
import { loadRegistry } from './registry.ts'
import { testContext } from './test-context.ts'

const example = fileURLToPath(new URL('../../examples/hardware-types/http-plug.ts', import.meta.url))

const registryWith = async (path: string, enabled: string) =>
  loadRegistry(
    await loadConfig({
      overrides: { DEFAULT: { enabled_hardware_types: [enabled] }, ferrite: { hardware_type_modules: [path] } },
    }),
  )

test('the example: enabled like any other, with its own power and what fits any hardware', async () => {
  const registry = await registryWith(example, 'http-plug')
  assert.deepEqual(registry.properties('http-plug'), { plug_url: { description: 'URL of the plug.', required: true } })
  const { power_interface, management_interface, boot_interface } = registry.interfacesFor('http-plug', {})
  assert.deepEqual([power_interface, management_interface, boot_interface], ['http-plug', 'noop', 'ipxe'])

  let on = false
  const asked: string[] = []
  const plug = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    asked.push(`${request.method} ${text}`)
    if (request.method === 'PUT') on = JSON.parse(text).on
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ on }))
  }).listen(0, '127.0.0.1')
  await once(plug, 'listening')
  const { port } = plug.address() as AddressInfo // it listens on TCP
  const ctx = await testContext({ node: { driver_info: { plug_url: `http://127.0.0.1:${port}/` } } })
  const power = registry.interface({ driver: 'http-plug' }, 'power')
  assert.equal(await power.get(ctx), 'power off')
  await power.set(ctx, 'power on')
  assert.equal(await power.get(ctx), 'power on')
  await power.set(ctx, 'reset')
  assert.deepEqual(asked.slice(-2), ['PUT {"on":false}', 'PUT {"on":true}'])
  plug.closeAllConnections()
  plug.close()
  await assert.rejects(power.get(ctx), HardwareFault)
  await assert.rejects(power.validate(await testContext({})), InvalidInput)
})

const bad: [text: string, words: RegExp][] = [
  ['export const x = 1', /found no function as its default export/],
  ['export default () => { throw new Error("no licence") }', /: no licence$/],
  ['export default () => ({ name: "Acme" })', /its name is "Acme", expected small letters/],
  ['export default () => ({ name: "redfish" })', /its name redfish is taken/],
  ['export default () => ({ name: "acme" })', /it has no driverInfo/],
  [
    'export default ({ generic }) => ({ name: "acme", driverInfo: {}, interfaces: generic })',
    /it has no power interface/,
  ],
  [
    'export default ({ generic }) => ({ name: "acme", driverInfo: {}, interfaces: { ...generic, power: { acme: 1 } } })',
    /its power interface acme is no function/,
  ],
  [
    'export default ({ generic }) => ({ name: "acme", driverInfo: {}, interfaces: { ...generic, power: { redfish() {} } } })',
    /its power interface redfish has the name of one of redfish/,
  ],
  ['export default (', /hardware_type_modules\): /],
]
test('a module that is none is refused by its path and with what is wrong', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-outside-'))
  for (const [index, [text, words]] of bad.entries()) {
    const path = join(directory, `${index}.mjs`)
    await writeFile(path, text)
    await assert.rejects(registryWith(path, 'acme'), (error: Error) => {
      assert.ok(error instanceof InvalidInput, error.message)
      assert.match(error.message, words)
      assert.ok(error.message.includes(path))
      return true
    })
  }
  await assert.rejects(registryWith(join(directory, 'absent.ts'), 'acme'), /absent\.ts.*Cannot find module/)
  await rm(directory, { recursive: true })
})
