/**
 * Writes a cpio archive of the "newc" kind, the form in which Linux takes an initramfs. Only what an initramfs needs:
 * no hard links, owner always root, times always the one given, so that the same entries make the same bytes.
 * Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
 */

export type CpioEntry =
  | { kind: 'directory'; path: string; mode: number }
  | { kind: 'file'; path: string; mode: number; data: Uint8Array }
  | { kind: 'link'; path: string; target: string }
  | { kind: 'device'; path: string; mode: number; major: number; minor: number }

/**
 * Yields the archive of `entries` in order of path.
 * @param entries paths without a leading slash, each once; `mode` holds the permission bits only
 * @param time seconds since 1970 for every entry
 */
export function* writeCpio(entries: readonly CpioEntry[], time: number): Generator<Uint8Array> {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1))
  let inode = 1
  let written = 0
  for (const entry of sorted) {
    const data = dataOf(entry)
    for (const part of record({ entry, data, inode: inode++, time })) {
      written += part.length
      yield part
    }
  }
  const end: CpioEntry = { kind: 'file', path: 'TRAILER!!!', mode: 0, data: new Uint8Array() }
  for (const part of record({ entry: end, data: end.data, inode: 0, time: 0 })) {
    written += part.length
    yield part
  }
  yield new Uint8Array(padding(written, 512))
}

const formatBits = { directory: 0o040000, file: 0o100000, link: 0o120000, device: 0o020000 }

function dataOf(entry: CpioEntry): Uint8Array {
  if (entry.kind === 'file') return entry.data
  if (entry.kind === 'link') return Buffer.from(entry.target)
  return new Uint8Array()
}

function record(options: { entry: CpioEntry; data: Uint8Array; inode: number; time: number }): Uint8Array[] {
  const { entry, data, inode, time } = options
  const name = Buffer.from(`${entry.path}\0`)
  const device = entry.kind === 'device' ? entry : { major: 0, minor: 0 }
  // The trailer is the one record without a file type.
  const permissions = entry.kind === 'link' ? 0o777 : entry.mode
  const mode = inode === 0 ? 0 : formatBits[entry.kind] | permissions
  const links = entry.kind === 'directory' ? 2 : 1
  const fields = [inode, mode, 0, 0, links, time, data.length, 0, 0, device.major, device.minor, name.length, 0]
  const header = Buffer.from(`070701${fields.map(field => field.toString(16).padStart(8, '0')).join('')}`, 'latin1')
  return [
    header,
    name,
    new Uint8Array(padding(header.length + name.length, 4)),
    data,
    new Uint8Array(padding(data.length, 4)),
  ].filter(part => part.length > 0)
}

function padding(length: number, alignment: number): number {
  return (alignment - (length % alignment)) % alignment
}
