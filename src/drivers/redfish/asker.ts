/**
 * Reading many resources of a BMC, one after another: BMCs serve few at a time, and others ask them, too. What a BMC does
 * not have, or refuses to tell, is simply not there; a BMC that cannot be reached is a fault.
 */
import type { Static, TSchema } from 'typebox'
import type { Reader, RedfishClient, Reference } from './client.ts'
import { BmcRefused } from './faults.ts'

/** No machine has more of one kind; a broken collection must not keep us busy. */
export const partLimit = 128

export class Asker {
  readonly #client: RedfishClient
  readonly signal: AbortSignal

  constructor(client: RedfishClient, signal: AbortSignal) {
    this.#client = client
    this.signal = signal
  }

  /** Undefined where there is nothing, or the BMC refuses to tell. */
  async get<S extends TSchema>(path: string, as: Reader<S>): Promise<Static<S> | undefined> {
    try {
      return (await this.#client.get(path, as, { signal: this.signal })).resource
    } catch (error) {
      if (error instanceof BmcRefused) return undefined
      throw error
    }
  }

  async linked<S extends TSchema>(link: Link, as: Reader<S>): Promise<Static<S> | undefined> {
    return link ? this.get(link['@odata.id'], as) : undefined
  }

  async members(link: Link): Promise<string[]> {
    if (!link) return []
    try {
      return (await this.#client.members(link['@odata.id'], this.signal)).slice(0, partLimit)
    } catch (error) {
      if (error instanceof BmcRefused) return []
      throw error
    }
  }
}

export type Link = Static<typeof Reference> | null | undefined
