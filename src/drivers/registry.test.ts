import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig, type Overrides } from '#config/load.ts'
import { InvalidInput } from '#lib/fault.ts'
import { interfaceTypes } from '#protocol/interfaces.ts'
import type { HardwareType, Interfaces } from './driver.ts'
import { loadRegistry } from './registry.ts'

/** Two hardware types whose implementations are only names; loading is recorded. */
function world() {
  const loaded: string[] = []
  const implementation = (type: string, name: string) => async () => {
    loaded.push(`${type}/${name}`)
    return { default: { validate: async () => {}, name } as unknown as Interfaces['raid'] }
  }
  const hardware = (name: string, special: Record<string, string[]>, more: Partial<HardwareType>) => {
    const interfaces = Object.fromEntries(
      interfaceTypes.map(type => {
        const names = special[type] ?? ['plain']
        return [type, Object.fromEntries(names.map(each => [each, implementation(type, each)]))]
      }),
    )
    return { name, driverInfo: {}, interfaces, ...more } as unknown as HardwareType
  }
  const types = [
    hardware(
      'rack',
      { boot: ['net', 'media'], power: ['bmc'], vendor: ['no-vendor'] },
      {
        driverInfo: {
          rack_address: { description: 'where', required: true },
          rack_password: { description: 'p', secret: true },
        },
      },
    ),
    hardware('ghost', { boot: ['ghost', 'net'], power: ['ghost'] }, { anyInterface: true }),
  ]
  const known = Object.fromEntries(types.map(type => [type.name, async () => ({ default: type })]))
  return { known, loaded }
}

const empty = Object.fromEntries(interfaceTypes.map(type => [`enabled_${type}_interfaces`, []]))

async function configOf(DEFAULT: Overrides['DEFAULT']) {
  const overrides = { DEFAULT: { ...empty, default_storage_interface: '', ...DEFAULT } } as Overrides // lists of names, all
  return loadConfig({ overrides })
}

async function registryOf(DEFAULT: Overrides['DEFAULT']) {
  const { known, loaded } = world()
  return { registry: await loadRegistry(await configOf(DEFAULT), known), loaded }
}

test('an empty list enables the first implementation of each enabled hardware type, and loads nothing else', async () => {
  const { registry, loaded } = await registryOf({ enabled_hardware_types: ['rack'] })
  assert.equal(registry.interfacesFor('rack', {}).boot_interface, 'net')
  assert.equal(loaded.includes('boot/net'), true)
  assert.equal(loaded.includes('boot/media'), false)
  assert.equal(loaded.includes('power/ghost'), false)
})

test('the order of the hardware type decides, not that of the configuration', async () => {
  const { registry } = await registryOf({ enabled_hardware_types: ['rack'], enabled_boot_interfaces: ['media', 'net'] })
  assert.equal(registry.interfacesFor('rack', {}).boot_interface, 'net')
  assert.equal(registry.interfacesFor('rack', { boot_interface: 'media' }).boot_interface, 'media')
})

test('a configured default goes before the order; one that does not fit is an error, without falling through', async () => {
  const types = ['rack', 'ghost']
  const both = { enabled_hardware_types: types, enabled_boot_interfaces: ['media', 'net', 'ghost'] }
  const { registry } = await registryOf({ ...both, default_boot_interface: 'media' })
  assert.equal(registry.interfacesFor('rack', {}).boot_interface, 'media')
  await assert.rejects(
    registryOf({ ...both, default_boot_interface: 'ghost' }),
    new InvalidInput(
      'Cannot use the boot interface "ghost" with driver rack: hardware type rack does not support it; ' +
        'expected one of net, media',
    ),
  )
})

test('what is not enabled or not supported is refused with what is', async () => {
  const { registry } = await registryOf({
    enabled_hardware_types: ['rack', 'ghost'],
    enabled_power_interfaces: ['bmc', 'ghost'],
    enabled_boot_interfaces: ['net'],
  })
  assert.throws(
    () => registry.interfacesFor('rack', { boot_interface: 'media' }),
    new InvalidInput(
      'Cannot use the boot interface "media" with driver rack: it is not enabled ' +
        '([DEFAULT] enabled_boot_interfaces is net); expected one of net',
    ),
  )
  assert.throws(
    () => registry.interfacesFor('rack', { power_interface: 'ghost' }),
    /hardware type rack does not support it/,
  )
  assert.throws(
    () => registry.interfacesFor('rak', {}),
    new InvalidInput('Cannot use driver "rak": enabled hardware types are rack, ghost (did you mean rack?)'),
  )
})

test('a hardware type that accepts any interface takes whatever is enabled', async () => {
  const { registry } = await registryOf({
    enabled_hardware_types: ['rack', 'ghost'],
    enabled_power_interfaces: ['bmc', 'ghost'],
    enabled_boot_interfaces: ['media', 'ghost'],
  })
  assert.equal(registry.interfacesFor('ghost', {}).power_interface, 'ghost')
  assert.equal(registry.interfacesFor('ghost', { power_interface: 'bmc' }).power_interface, 'bmc')
  assert.equal(registry.interfacesFor('ghost', { boot_interface: 'media' }).boot_interface, 'media')
})

test('instance_info overrides the interface of the node, under the same rules', async () => {
  const { registry } = await registryOf({ enabled_hardware_types: ['rack'], enabled_boot_interfaces: ['net', 'media'] })
  const node = { driver: 'rack', boot_interface: 'net', instance_info: {} as Record<string, unknown> }
  assert.equal(registry.interfaceName(node, 'boot'), 'net')
  node.instance_info.boot_interface = 'media'
  assert.equal(registry.interfaceName(node, 'boot'), 'media')
  assert.equal((registry.interfaces(node).boot as unknown as { name: string }).name, 'media')
  node.instance_info.boot_interface = 'ghost'
  assert.throws(() => registry.interface(node, 'boot'), /it is not enabled/)
})

test('a conductor that could not serve its nodes does not start', async () => {
  await assert.rejects(
    registryOf({ enabled_hardware_types: ['rock'] }),
    new InvalidInput(
      'Cannot enable hardware type "rock" of [DEFAULT] enabled_hardware_types: ' +
        'this version has rack, ghost (did you mean rack?)',
    ),
  )
  await assert.rejects(
    registryOf({ enabled_hardware_types: ['rack'], enabled_boot_interfaces: ['nett'] }),
    /Cannot enable the boot interface "nett" of \[DEFAULT\] enabled_boot_interfaces: .*did you mean net/,
  )
  await assert.rejects(
    registryOf({ enabled_hardware_types: ['rack'], enabled_power_interfaces: ['ghost'] }),
    new InvalidInput(
      'Cannot choose a power interface for hardware type rack: [DEFAULT] enabled_power_interfaces is ghost; ' +
        'expected at least one of bmc',
    ),
  )
})

test('rows, properties and secrets come from the hardware types', async () => {
  const { registry } = await registryOf({ enabled_hardware_types: ['rack'], enabled_boot_interfaces: ['net', 'media'] })
  const boots = registry.enabledRows().filter(row => row.interface_type === 'boot')
  assert.deepEqual(
    boots.map(row => [row.interface_name, row.is_default]),
    [
      ['net', true],
      ['media', false],
    ],
  )
  assert.deepEqual(registry.properties('rack').rack_address, { description: 'where', required: true })
  assert.deepEqual([...registry.secretKeys('rack')], ['rack_password'])
  assert.deepEqual([...registry.secretKeys()], ['rack_password'])
})

test('the built-in configuration loads, and every declared implementation can be imported', async () => {
  const registry = await loadRegistry(await loadConfig())
  assert.deepEqual(registry.hardwareTypes.map(type => type.name).sort(), ['fake-hardware', 'ipmi', 'redfish'])
  for (const { interfaces } of registry.hardwareTypes) {
    for (const type of interfaceTypes) {
      for (const load of Object.values(interfaces[type]))
        assert.equal(typeof (await load()).default.validate, 'function')
    }
  }
  assert.equal(registry.interfacesFor('redfish', {}).boot_interface, 'ipxe')
  assert.equal(registry.interfacesFor('redfish', {}).storage_interface, 'noop')
  assert.equal(registry.interfacesFor('fake-hardware', {}).deploy_interface, 'fake')
})

test('each hardware type can be enabled by itself, with what it prefers, and all its implementations are there', async () => {
  const { knownHardwareTypes } = await import('./known.ts')
  const chosen: Record<string, string[]> = {}
  for (const name of Object.keys(knownHardwareTypes)) {
    const registry = await loadRegistry(
      await loadConfig({ overrides: { DEFAULT: { enabled_hardware_types: [name] } } }),
    )
    const { power_interface, management_interface } = registry.interfacesFor(name, {})
    chosen[name] = [power_interface, management_interface]
    for (const type of interfaceTypes) {
      for (const load of Object.values(registry.hardwareType(name).interfaces[type]))
        assert.equal(typeof (await load()).default.validate, 'function')
    }
  }
  assert.deepEqual(chosen, {
    redfish: ['redfish', 'redfish'],
    ipmi: ['ipmitool', 'ipmitool'],
    snmp: ['snmp', 'noop'],
    'manual-management': ['agent', 'noop'],
    'fake-hardware': ['fake', 'fake'],
  })
})

test('an interface that chooses among others needs those others', async () => {
  const { knownHardwareTypes } = await import('./known.ts')
  const enabled = (names: string[], candidates: string[]) =>
    loadConfig({
      overrides: {
        DEFAULT: {
          enabled_hardware_types: ['fake-hardware'],
          enabled_deploy_interfaces: names,
          autodetect_deploy_interfaces: candidates,
        },
      },
    })
  const load = async (names: string[], candidates: string[]) =>
    loadRegistry(await enabled(names, candidates), knownHardwareTypes)
  const registry = await load(['autodetect', 'direct', 'ramdisk'], ['ramdisk', 'direct'])
  assert.equal(registry.interfacesFor('fake-hardware', {}).deploy_interface, 'autodetect')
  await assert.rejects(
    load(['autodetect', 'direct'], ['ramdisk', 'direct']),
    /autodetect_deploy_interfaces has ramdisk, direct, of which .* lacks ramdisk; expected all of them to be enabled/,
  )
  await assert.rejects(load(['autodetect', 'direct'], []), /autodetect_deploy_interfaces has nothing/)
  // Where nothing is chosen nothing has to be there.
  await load(['direct'], ['ramdisk'])
})
