/**
 * The variables of UEFI firmware, in the file that QEMU gives it as flash: what a BMC tells the firmware of the machine's
 * next boot is written here while the machine is off. Like flash, an old value is not overwritten but marked as gone; the
 * firmware clears up by itself.
 *
 * Source: EDK II, MdeModulePkg/Include/Guid/VariableFormat.h (store and authenticated variables); UEFI 2.10, 3.1.3 (load
 * options), 3.3 (BootNext), 10.3.4.23 (URI device path, which firmware completes by a network card).
 */
import { readFile, writeFile } from 'node:fs/promises'

export interface Variable {
  name: string
  data: Buffer
}

/** EFI_GLOBAL_VARIABLE, as GUIDs lie in memory. */
const globalGuid = Buffer.from('61dfe48bca93d211aa0d00e098032b8c', 'hex')
/** Of a store whose variables have room for signatures. */
const storeGuid = Buffer.from('782cf3aa7b949a43a1802e144ec37792', 'hex')
const storeHeaderBytes = 28
const headerBytes = 60
const startId = 0x55aa
/** Bits are cleared as a variable goes: added is 0x3f, deleted has bit 1 cleared as well. */
const isAdded = 0x3f
const deletedMask = 0xfd
/** Kept without power, seen by boot services and by systems. */
const attributes = 7

/** The number of the boot option that is ours, far from those that firmware gives. */
const optionNumber = 0xfe77

/** Has the next start of the firmware, and that one alone, fetch what is at this URL and boot it. */
export async function bootNextFromUrl(file: string, url: string): Promise<void> {
  const next = Buffer.alloc(2)
  next.writeUInt16LE(optionNumber)
  const option = { name: `Boot${optionNumber.toString(16).toUpperCase()}`, data: loadOption('Ferrite', uriPath(url)) }
  await writeFile(file, withVariables(await readFile(file), [option, { name: 'BootNext', data: next }]))
}

/** The flash with these variables in place of those of the same names. @throws Error where it has no room, or no store */
export function withVariables(flash: Buffer, variables: readonly Variable[]): Buffer {
  const changed = Buffer.from(flash)
  const start = changed.indexOf(storeGuid)
  if (start < 0) throw new Error('Cannot write firmware variables: the file has no store of authenticated variables')
  const end = start + changed.readUInt32LE(start + storeGuid.length)
  const names = new Set(variables.map(({ name }) => name))
  let free = start + storeHeaderBytes
  for (const { at, variable, isGlobal, next } of stored(changed, free, end)) {
    if (isGlobal && names.has(variable.name)) changed[at + 2] = (changed[at + 2] ?? 0) & deletedMask
    free = next
  }
  for (const variable of variables) {
    const bytes = packed(variable)
    if (free + bytes.length > end) throw new Error(`Cannot write ${variable.name}: the store of variables is full`)
    bytes.copy(changed, free)
    free = aligned(free + bytes.length)
  }
  return changed
}

/** Variables of the firmware's own vendor that are in force. */
export function globalVariables(flash: Buffer): Variable[] {
  const start = flash.indexOf(storeGuid)
  const end = start + flash.readUInt32LE(start + storeGuid.length)
  return [...stored(flash, start + storeHeaderBytes, end)]
    .filter(({ at, isGlobal }) => isGlobal && flash[at + 2] === isAdded)
    .map(({ variable }) => variable)
}

function* stored(flash: Buffer, from: number, end: number) {
  for (let at = from; at + headerBytes <= end && flash.readUInt16LE(at) === startId; ) {
    const [nameBytes, dataBytes] = [flash.readUInt32LE(at + 36), flash.readUInt32LE(at + 40)]
    const nameAt = at + headerBytes
    const dataAt = nameAt + nameBytes
    const next = aligned(dataAt + dataBytes)
    const variable = {
      name: flash.subarray(nameAt, dataAt - 2).toString('utf16le'),
      data: flash.subarray(dataAt, dataAt + dataBytes),
    }
    yield { at, next, variable, isGlobal: flash.subarray(at + 44, at + headerBytes).equals(globalGuid) }
    at = next
  }
}

function packed({ name, data }: Variable): Buffer {
  const header = Buffer.alloc(headerBytes)
  const nameBytes = Buffer.from(`${name}\0`, 'utf16le')
  header.writeUInt16LE(startId, 0)
  header[2] = isAdded
  header.writeUInt32LE(attributes, 4)
  header.writeUInt32LE(nameBytes.length, 36)
  header.writeUInt32LE(data.length, 40)
  globalGuid.copy(header, 44)
  return Buffer.concat([header, nameBytes, data])
}

const aligned = (at: number) => (at + 3) & ~3

function loadOption(description: string, path: Buffer): Buffer {
  const head = Buffer.alloc(6)
  head.writeUInt32LE(1, 0) // it may be booted
  head.writeUInt16LE(path.length, 4)
  return Buffer.concat([head, Buffer.from(`${description}\0`, 'utf16le'), path])
}

function uriPath(url: string): Buffer {
  const uri = Buffer.from(url, 'latin1')
  const head = Buffer.from([3, 24, 0, 0])
  head.writeUInt16LE(head.length + uri.length, 2)
  return Buffer.concat([head, uri, Buffer.from([0x7f, 0xff, 4, 0])])
}
