/**
 * Paths of unix sockets. The kernel takes 107 bytes, a checkout may lie deeper: a longer path is reached through the
 * process's own handle on its folder. The handles stay open; there is one per folder of a lab.
 */
import { closeSync, fstatSync, openSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'

const MAX_BYTES = 107
const folders = new Map<string, number>()

/** A path to the same socket that is short enough to listen on or to connect to. Its folder must exist. */
export function socketPath(path: string): string {
  if (Buffer.byteLength(path) <= MAX_BYTES) return path
  const folder = dirname(path)
  let handle = folders.get(folder)
  // A lab that was taken down and made again has a new folder of the old name.
  if (handle !== undefined && fstatSync(handle).ino !== statSync(folder).ino) {
    closeSync(handle)
    handle = undefined
  }
  handle ??= openSync(folder, 'r')
  folders.set(folder, handle)
  return `/proc/self/fd/${handle}/${basename(path)}`
}
