/**
 * Hardware types from outside this repository: modules that the configuration names. A module's default export is called
 * with what drivers are made of, and gives back a hardware type as ours are. It cannot take the place of anything that is
 * here.
 */
import { pathToFileURL } from 'node:url'
import type { Config } from '#config/options.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { interfaceTypes } from '#protocol/interfaces.ts'
import { HardwareFault, type HardwareType, Unsupported } from './driver.ts'
import { generic } from './generic/interfaces.ts'
import { oneOf, readSettings, textOf } from './settings.ts'

/** What an outside module gets: it cannot import from here by our short names. */
export const driverKit = {
  /** The implementations that fit any hardware, by type of interface. */
  generic,
  /** Faults are for people; anything else that is thrown is a bug and is logged with its stack. */
  faults: { HardwareFault, InvalidInput, Unsupported },
  settings: { readSettings, textOf, oneOf },
} as const
export type DriverKit = typeof driverKit

/**
 * Loads the modules of `[ferrite] hardware_type_modules`.
 * @param ours the types that are here, whose names are taken
 * @throws InvalidInput naming the module and what is wrong with it
 */
export async function outsideHardwareTypes(
  { ferrite }: Pick<Config, 'ferrite'>,
  ours: readonly HardwareType[],
): Promise<HardwareType[]> {
  const found: HardwareType[] = []
  for (const path of ferrite.hardware_type_modules) found.push(await load(path, [...ours, ...found]))
  return found
}

async function load(path: string, others: readonly HardwareType[]): Promise<HardwareType> {
  const refuse = (why: string) =>
    new InvalidInput(`Cannot load the hardware type of ${path} ([ferrite] hardware_type_modules): ${why}`)
  const attempt = async <T>(work: () => T | Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw refuse(messageOf(error))
    }
  }
  const module = (await attempt(() => import(pathToFileURL(path).href))) as { default?: unknown } // any module is that
  if (typeof module.default !== 'function') throw refuse('found no function as its default export, expected one')
  const make = module.default as (kit: DriverKit) => unknown // what it gives is checked
  const type: unknown = await attempt(() => make(driverKit))
  const problem = problemOf(type, others)
  if (problem !== undefined) throw refuse(problem)
  return type as HardwareType // as problemOf() found
}

function problemOf(type: unknown, others: readonly HardwareType[]): string | undefined {
  const { name, driverInfo, interfaces } = recordOf(type)
  if (typeof name !== 'string' || !/^[a-z][a-z0-9-]*$/.test(name)) {
    return `its name is ${JSON.stringify(name)}, expected small letters, digits and dashes`
  }
  if (others.some(other => other.name === name)) return `its name ${name} is taken`
  if (typeof driverInfo !== 'object' || driverInfo === null) return 'it has no driverInfo'
  for (const each of interfaceTypes) {
    const loaders = Object.entries(recordOf(recordOf(interfaces)[each]))
    if (loaders.length === 0) return `it has no ${each} interface, expected at least one`
    for (const [key, loader] of loaders) {
      if (typeof loader !== 'function') return `its ${each} interface ${key} is no function that loads it`
      const taken = others.find(
        other => Object.hasOwn(other.interfaces[each], key) && other.interfaces[each][key] !== loader,
      )
      if (taken) return `its ${each} interface ${key} has the name of one of ${taken.name}`
    }
  }
  return undefined
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {} // just checked
}
