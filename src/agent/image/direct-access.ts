/**
 * What it takes to write past the page cache: the kernel then wants places, lengths and addresses in memory at round
 * numbers. Every byte is copied once less, and a disk's errors are those of the write that met them.
 *
 * Source: open(2), O_DIRECT.
 */
import { constants, openSync } from 'node:fs'

/** Round enough for any disk. */
export const ALIGNMENT = 4096

const PAGE_BYTES = 65_536

/** @returns a file descriptor for writing; null where the device or its file system cannot do it */
export function openDirect(device: string): number | null {
  try {
    return openSync(device, constants.O_WRONLY | constants.O_DIRECT)
  } catch {
    return null
  }
}

/** Memory that begins at a page: WebAssembly's does, and nothing else in JavaScript promises it. */
export function pages(bytes: number): Uint8Array<ArrayBuffer> {
  const initial = Math.ceil(bytes / PAGE_BYTES)
  return new Uint8Array(new wasm.Memory({ initial }).buffer as ArrayBuffer, 0, bytes)
}

/** The same, for several threads. */
export function sharedPages(bytes: number): Uint8Array<SharedArrayBuffer> {
  const initial = Math.ceil(bytes / PAGE_BYTES)
  // Memory that is made as shared has this kind of buffer.
  const buffer = new wasm.Memory({ initial, maximum: initial, shared: true }).buffer as SharedArrayBuffer
  return new Uint8Array(buffer, 0, bytes)
}

/** As much as goes to a disk at a time; a chunk of an image is as large. */
export const BLOCK_BYTES = 2 * 1024 * 1024
export type Block = Uint8Array<SharedArrayBuffer>

/** A block that nobody uses; its content is whatever was there. Give it back. */
export function takeBlock(): Block {
  return idle.pop() ?? sharedPages(BLOCK_BYTES)
}

/** The blocks of one image are those of the next: the collector does not hurry for memory that is not on its heap. */
export function giveBack(block: Block): void {
  idle.push(block)
}

const idle: Block[] = []

/** Part of the language's surroundings in Node, though its types are a browser's. */
const { WebAssembly: wasm } = globalThis as unknown as {
  WebAssembly: {
    Memory: new (size: {
      initial: number
      maximum?: number
      shared?: boolean
    }) => { readonly buffer: ArrayBuffer | SharedArrayBuffer }
  }
}
