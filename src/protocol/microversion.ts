/**
 * The API's versions: 1.1 to 1.115, written `1.N` wherever people or programs read them and kept as the number N inside.
 * What a version adds is declared beside the field, parameter or endpoint it concerns, never here.
 */

/** N of a version `1.N`. */
export type Minor = number

export const minimum: Minor = 1
export const maximum: Minor = 115

/** N of `1.N`; for declarations, which are known to be well formed (a test reads them all). */
export function minorOf(version: string): Minor {
  return Number(version.slice(2))
}

export function versionText(minor: Minor): string {
  return `1.${minor}`
}
