/**
 * What this conductor can drive: the enabled hardware types and interfaces, loaded, and the rules by which a node gets
 * its interfaces. A configuration that cannot work is refused here, at start, not at the first node.
 *
 * It knows no node's state, calls no interface and writes nothing.
 * Source: ironic/common/driver_factory.py, ironic/conf/default.py (behaviour restated).
 */
import type { Config } from '#config/options.ts'
import { closest } from '#lib/closest.ts'
import { InvalidInput } from '#lib/fault.ts'
import { type InterfaceType, interfaceTypes } from '#protocol/interfaces.ts'
import type { HardwareType, Interfaces, Property } from './driver.ts'
import { knownHardwareTypes } from './known.ts'
import { outsideHardwareTypes } from './outside.ts'

export type InterfaceField = `${InterfaceType}_interface`

/** What the choice of interfaces reads of a node. */
export type Driven = { driver: string; instance_info?: unknown } & { [F in InterfaceField]?: string | null }

/** An enabled implementation of a hardware type, as the conductors' table has it. */
export interface EnabledRow {
  hardware_type: string
  interface_type: InterfaceType
  interface_name: string
  is_default: boolean
}

export interface Registry {
  readonly hardwareTypes: readonly HardwareType[]
  /** @throws InvalidInput naming the hardware types that are enabled */
  hardwareType(driver: string): HardwareType
  /**
   * The interfaces a node is to have: those given, checked, and the defaults for the rest.
   * @throws InvalidInput naming what was given and what fits
   */
  interfacesFor(driver: string, given: Partial<Record<InterfaceField, string | null>>): Record<InterfaceField, string>
  /** The name of the implementation a node uses now; `instance_info` may override the node's own. */
  interfaceName(node: Driven, type: InterfaceType): string
  /** The implementation a node uses now. */
  interface<T extends InterfaceType>(node: Driven, type: T): Interfaces[T]
  /** All of them, looked up when asked for. */
  interfaces(node: Driven): Interfaces
  enabledRows(): EnabledRow[]
  /** Settings that the hardware type reads from driver_info. */
  properties(driver: string): Record<string, { description: string; required: boolean }>
  /** Keys of driver_info that hold secrets: of one hardware type, or of all that are known. */
  secretKeys(driver?: string): ReadonlySet<string>
}

/**
 * Loads what the configuration enables.
 * @throws InvalidInput when it names a hardware type or interface that is not there, leaves an enabled hardware type
 *   without an implementation of some interface, or sets a default that is not enabled
 */
export async function loadRegistry(config: Config, known = knownHardwareTypes): Promise<Registry> {
  const all = await loadHardwareTypes(known)
  for (const type of await outsideHardwareTypes(config, [...all.values()])) all.set(type.name, type)
  const enabledTypes = config.DEFAULT.enabled_hardware_types.map(name => {
    const type = all.get(name)
    if (type) return type
    throw new InvalidInput(
      `Cannot enable hardware type "${name}" of [DEFAULT] enabled_hardware_types: ` +
        `this version has ${listed(all.keys())}${didYouMean(name, all.keys())}`,
    )
  })
  const hardwareTypes = [...new Map(enabledTypes.map(type => [type.name, type])).values()]
  const loaded = await loadInterfaces(config, [...all.values()], hardwareTypes)
  checkCandidates(config, loaded.deploy)
  const registry = registryOf({ config, all: [...all.values()], hardwareTypes, loaded })
  // Every hardware type must be able to give each interface to a node that names none.
  for (const type of hardwareTypes) registry.interfacesFor(type.name, {})
  return registry
}

/** For each type of interface, the enabled names and what was loaded for them. */
type Loaded = { readonly [T in InterfaceType]: ReadonlyMap<string, Interfaces[T]> }

async function loadHardwareTypes(known: typeof knownHardwareTypes): Promise<Map<string, HardwareType>> {
  // A description is a few tables; only implementations are heavy. All are read so that messages can name them.
  const types = await Promise.all(Object.values(known).map(async load => (await load()).default))
  return new Map(types.map(type => [type.name, type]))
}

async function loadInterfaces(
  config: Config,
  all: readonly HardwareType[],
  enabled: readonly HardwareType[],
): Promise<Loaded> {
  const entries = await Promise.all(
    interfaceTypes.map(async type => {
      const loaders = new Map(all.flatMap(hardware => Object.entries(hardware.interfaces[type])))
      const names = enabledNames(config, type) ?? enabled.map(hardware => firstOf(hardware, type))
      const implementations = await Promise.all(
        [...new Set(names)].map(async name => {
          const load = loaders.get(name)
          if (!load) {
            throw new InvalidInput(
              `Cannot enable the ${type} interface "${name}" of [DEFAULT] enabled_${type}_interfaces: ` +
                `this version has ${listed(loaders.keys())}${didYouMean(name, loaders.keys())}`,
            )
          }
          const implementation = (await load()).default
          implementation.checkConfig?.(config)
          return [name, implementation] as const
        }),
      )
      return [type, new Map(implementations)] as const
    }),
  )
  return Object.fromEntries(entries) as unknown as Loaded // one entry per interface type, each loaded from its own column
}

/** What an interface that leaves the work to others may choose among has to be there. */
function checkCandidates({ DEFAULT }: Config, deploy: Loaded['deploy']): void {
  const choosing = [...deploy].find(([, { choosesAnother }]) => choosesAnother)
  const missing = DEFAULT.autodetect_deploy_interfaces.filter(name => !deploy.has(name))
  if (!choosing || (missing.length === 0 && DEFAULT.autodetect_deploy_interfaces.length > 0)) return
  throw new InvalidInput(
    `Cannot enable the deploy interface "${choosing[0]}": [DEFAULT] autodetect_deploy_interfaces has ` +
      `${listed(DEFAULT.autodetect_deploy_interfaces)}, of which [DEFAULT] enabled_deploy_interfaces lacks ` +
      `${listed(missing)}; expected all of them to be enabled, and at least one`,
  )
}

/** The configured list; undefined when it is empty, which means "what the hardware types prefer". */
function enabledNames(config: Config, type: InterfaceType): readonly string[] | undefined {
  const names = config.DEFAULT[`enabled_${type}_interfaces`]
  return names && names.length > 0 ? names : undefined
}

/** One that only chooses among others is nobody's first: it needs those others. */
function firstOf(hardware: HardwareType, type: InterfaceType): string {
  const first = Object.keys(hardware.interfaces[type]).find(name => name !== 'autodetect')
  if (first === undefined) throw new Error(`Hardware type ${hardware.name} declares no ${type} interface`)
  return first
}

function registryOf(parts: {
  config: Config
  all: readonly HardwareType[]
  hardwareTypes: readonly HardwareType[]
  loaded: Loaded
}): Registry {
  const { config, all, hardwareTypes, loaded } = parts

  const registry: Registry = {
    hardwareTypes,

    hardwareType(driver) {
      const found = hardwareTypes.find(type => type.name === driver)
      if (found) return found
      const names = hardwareTypes.map(type => type.name)
      throw new InvalidInput(
        `Cannot use driver "${driver}": enabled hardware types are ${listed(names)}${didYouMean(driver, names)}`,
      )
    },

    interfacesFor(driver, given) {
      const hardware = registry.hardwareType(driver)
      const chosen = interfaceTypes.map(type => {
        const name = given[`${type}_interface`]
        return [`${type}_interface`, name ? checked(hardware, type, name) : defaultOf(hardware, type)] as const
      })
      return Object.fromEntries(chosen) as Record<InterfaceField, string> // one entry per interface type
    },

    interfaceName(node, type) {
      const hardware = registry.hardwareType(node.driver)
      const name = overrideOf(node, type) ?? node[`${type}_interface`]
      return name ? checked(hardware, type, name) : defaultOf(hardware, type)
    },

    interface<T extends InterfaceType>(node: Driven, type: T): Interfaces[T] {
      const implementation = loaded[type].get(registry.interfaceName(node, type))
      if (!implementation)
        throw new Error(`The ${type} interface of driver ${node.driver} passed its checks but is not loaded`)
      return implementation
    },

    interfaces(node) {
      const properties = interfaceTypes.map(
        type => [type, { enumerable: true, get: () => registry.interface(node, type) }] as const,
      )
      return Object.defineProperties({}, Object.fromEntries(properties)) as Interfaces // a getter per interface type
    },

    enabledRows() {
      return hardwareTypes.flatMap(hardware =>
        interfaceTypes.flatMap(type => {
          const preferred = defaultOf(hardware, type)
          return fitting(hardware, type).map(name => ({
            hardware_type: hardware.name,
            interface_type: type,
            interface_name: name,
            is_default: name === preferred,
          }))
        }),
      )
    },

    properties(driver) {
      const { driverInfo } = registry.hardwareType(driver)
      return Object.fromEntries(
        Object.entries(driverInfo).map(([name, { description, required = false }]) => [
          name,
          { description, required },
        ]),
      )
    },

    secretKeys(driver) {
      return secrets.get(driver) ?? none
    },
  }
  // A node whose driver was disabled since keeps its secrets masked: what is known counts, not what is enabled.
  const secrets = new Map<string | undefined, ReadonlySet<string>>(
    all.map(type => [type.name, new Set(secretsOf(type.driverInfo))]),
  )
  secrets.set(undefined, new Set(all.flatMap(type => secretsOf(type.driverInfo))))
  const none: ReadonlySet<string> = new Set()
  return registry

  /** The enabled implementations that a hardware type accepts, in its own order of preference. */
  function fitting(hardware: HardwareType, type: InterfaceType): string[] {
    const own = Object.keys(hardware.interfaces[type]).filter(name => loaded[type].has(name))
    if (!hardware.anyInterface) return own
    return [...new Set([...own, ...loaded[type].keys()])]
  }

  function checked(hardware: HardwareType, type: InterfaceType, name: string): string {
    const fits = fitting(hardware, type)
    if (fits.includes(name)) return name
    const enabled = [...loaded[type].keys()]
    const found = enabled.includes(name)
      ? `hardware type ${hardware.name} does not support it`
      : `it is not enabled ([DEFAULT] enabled_${type}_interfaces is ${listed(enabled)})`
    throw new InvalidInput(
      `Cannot use the ${type} interface "${name}" with driver ${hardware.name}: ${found}; ` +
        `expected one of ${listed(fits)}${didYouMean(name, fits)}`,
    )
  }

  function defaultOf(hardware: HardwareType, type: InterfaceType): string {
    const configured = config.DEFAULT[`default_${type}_interface`]
    // The configured default is for the types that can use it; Ironic refuses nodes of the others, and so do we.
    if (configured) return checked(hardware, type, configured)
    const [first] = fitting(hardware, type)
    if (first !== undefined) return first
    throw new InvalidInput(
      `Cannot choose a ${type} interface for hardware type ${hardware.name}: ` +
        `[DEFAULT] enabled_${type}_interfaces is ${listed(loaded[type].keys())}; ` +
        `expected at least one of ${listed(Object.keys(hardware.interfaces[type]))}`,
    )
  }
}

function overrideOf(node: Driven, type: InterfaceType): string | undefined {
  const info = node.instance_info
  if (typeof info !== 'object' || info === null) return undefined
  const name = (info as Record<string, unknown>)[`${type}_interface`]
  return typeof name === 'string' && name !== '' ? name : undefined
}

function secretsOf(driverInfo: Readonly<Record<string, Property>>): string[] {
  return Object.entries(driverInfo).flatMap(([name, property]) => (property.secret ? [name] : []))
}

const listed = (names: Iterable<string>) => [...names].join(', ') || 'nothing'

function didYouMean(name: string, names: Iterable<string>): string {
  const nearest = closest(name, names)
  return nearest === undefined || nearest === name ? '' : ` (did you mean ${nearest}?)`
}
