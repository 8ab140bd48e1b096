/**
 * Which chunks of which image are on which disk, kept in the store while an image is written: a command that broke off
 * is taken up by the next one that asks for the same image. A hint, not a proof: whoever uses it looks at the disk.
 */
import { Type } from 'typebox'
import type { Store } from '../../store.ts'

const Written = Type.Object({
  device: Type.String(),
  manifest_sha256: Type.String(),
  /** Of the chunk at place n of the manifest bit n, base64. */
  places: Type.String(),
})
const FILE = 'chunks-written.json'
const SAVE_EVERY_MS = 1000

export interface WhatImage {
  device: string
  manifestSha256: string
}

export interface WrittenRecord {
  /** Places in the manifest that were written before. */
  readonly before: readonly number[]
  add(place: number): void
  save(): void
}

/** Opens the record of this image on this disk; another's is forgotten. */
export function openRecord(store: Store, { device, manifestSha256 }: WhatImage, count: number): WrittenRecord {
  const known = store.read(FILE, Written)
  const same = known?.device === device && known.manifest_sha256 === manifestSha256
  const old = same ? Buffer.from(known.places, 'base64') : Buffer.alloc(0)
  const before = Array.from({ length: count }, (_, place) => place).filter(place => bit(old, place))
  const places = Buffer.alloc(Math.ceil(count / 8))
  let savedMs = Number.NEGATIVE_INFINITY
  const save = () => {
    savedMs = performance.now()
    store.write(FILE, { device, manifest_sha256: manifestSha256, places: places.toString('base64') })
  }
  return {
    before,
    add: place => {
      places[place >> 3] = (places[place >> 3] ?? 0) | (1 << (place & 7))
      if (performance.now() - savedMs > SAVE_EVERY_MS) save()
    },
    save,
  }
}

export function forgetRecord(store: Store): void {
  store.remove(FILE)
}

function bit(places: Buffer, place: number): boolean {
  return (((places[place >> 3] ?? 0) >> (place & 7)) & 1) === 1
}
