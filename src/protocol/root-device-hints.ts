/**
 * Root device hints: a disk as operators describe it. Read here for both sides: the conductor asks whether hints mean
 * anything, the agent which disks they mean. Pure; every hint that is not understood is named.
 *
 * Source: openstack/ironic-python-agent `device_hints.py`; openstack/ironic `common/...` for `<range-in>`.
 */
import type { Disk } from './agent.ts'

/** A disk with all variants of what identifies it: udev and the kernel spell some differently. */
export type HintedDevice = Omit<Disk, 'serial' | 'wwn' | 'logical_sectors' | 'physical_sectors'> & {
  serials: string[]
  wwns: string[]
}

const GIB = 1024 ** 3

/** Each side makes a fault of its own of it. */
export class HintNotUnderstood extends Error {}

/**
 * Whether a disk matches all of these hints.
 * @throws HintNotUnderstood naming the hint, what was found and what was expected
 */
export function readRootDeviceHints(hints: Readonly<Record<string, unknown>>): (device: HintedDevice) => boolean {
  const tests = Object.entries(hints).map(([name, hint]) => test(name, hint))
  return device => tests.every(matches => matches(device))
}

/** Without hints, disks below this are not taken: they are boot modules, card readers, virtual media. */
export const leastRootBytes = 4 * GIB

/**
 * The disk that gets the operating system: the first that matches all hints; without hints the smallest of at least
 * 4 GiB. Undefined: none does. @throws HintNotUnderstood
 */
export function chooseRootDisk<D extends HintedDevice>(
  devices: readonly D[],
  hints: Readonly<Record<string, unknown>>,
): D | undefined {
  if (Object.keys(hints).length > 0) return devices.find(readRootDeviceHints(hints))
  return devices
    .filter(({ size }) => size >= leastRootBytes)
    .sort((a, b) => a.size - b.size || (a.name < b.name ? -1 : 1))[0]
}

type Matches = (device: HintedDevice) => boolean

const texts: Record<string, (device: HintedDevice) => (string | null)[]> = {
  name: device => [device.name],
  model: device => [device.model],
  vendor: device => [device.vendor],
  serial: device => orNone(device.serials),
  wwn: device => orNone(device.wwns),
  wwn_with_extension: device => [device.wwn_with_extension],
  wwn_vendor_extension: device => [device.wwn_vendor_extension],
  hctl: device => [device.hctl],
  by_path: device => [device.by_path],
  tran: device => [device.tran],
}

const orNone = (values: string[]) => (values.length > 0 ? values : [null])

function test(name: string, hint: unknown): Matches {
  if (name === 'size') return sizeTest(hint)
  if (name === 'rotational') return rotationalTest(hint)
  const values = Object.hasOwn(texts, name) ? texts[name] : undefined
  if (values === undefined) {
    throw badHint(name, hint, `one of size, rotational, ${Object.keys(texts).join(', ')}`)
  }
  if (typeof hint !== 'string' || hint.trim() === '') throw badHint(name, hint, 'a text')
  const matches = textTest(hint)
  return device => values(device).some(value => matches(normal(value ?? 'none')))
}

/** Longest first, so that `s>=` is not read as `s>`. */
const textOperators: Record<string, (value: string, operand: string) => boolean> = {
  's==': (value, operand) => value === operand,
  's!=': (value, operand) => value !== operand,
  's<=': (value, operand) => value <= operand,
  's>=': (value, operand) => value >= operand,
  's<': (value, operand) => value < operand,
  's>': (value, operand) => value > operand,
}

function textTest(hint: string): (value: string) => boolean {
  const text = hint.trim()
  if (text.startsWith('<in>')) {
    const part = normal(text.slice(4))
    return value => value.includes(part)
  }
  if (text.startsWith('<or>')) {
    const choices = text.split('<or>').slice(1).map(normal)
    return value => choices.includes(value)
  }
  for (const [operator, holds] of Object.entries(textOperators)) {
    if (!text.startsWith(operator)) continue
    const operand = normal(text.slice(operator.length))
    return value => holds(value, operand)
  }
  const exact = normal(text)
  return value => value === exact
}

const normal = (text: string) => text.trim().toLowerCase()

const numberOperators: Record<string, (value: number, operand: number) => boolean> = {
  '==': (value, operand) => value === operand,
  '!=': (value, operand) => value !== operand,
  '<=': (value, operand) => value <= operand,
  '>=': (value, operand) => value >= operand,
  '<': (value, operand) => value < operand,
  '>': (value, operand) => value > operand,
  // Of old, a single = means at least.
  '=': (value, operand) => value >= operand,
}

/** Sizes are compared in GiB with their fraction, so plain equality is rarely what is wanted. */
function sizeTest(hint: unknown): Matches {
  const text = String(hint).trim()
  const range = /^<range-in>\s*([[(])\s*(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)\s*([\])])$/.exec(text)
  if (range) {
    const [, open, low, high, close] = range
    return ({ size }) => {
      const gib = size / GIB
      return (
        (open === '[' ? gib >= Number(low) : gib > Number(low)) &&
        (close === ']' ? gib <= Number(high) : gib < Number(high))
      )
    }
  }
  const parts = /^(==|!=|<=|>=|<|>|=)?\s*(\d+)$/.exec(text)
  if (parts === null || Number(parts[2]) <= 0) {
    throw badHint(
      'size',
      hint,
      'a positive whole number of GiB, with or without ==, !=, <, <=, >, >=, =, or <range-in>',
    )
  }
  const holds = numberOperators[parts[1] ?? '=='] ?? (() => false)
  return ({ size }) => holds(size / GIB, Number(parts[2]))
}

function rotationalTest(hint: unknown): Matches {
  const word = String(hint).trim().toLowerCase()
  if (['true', '1', 'yes', 'on', 't', 'y'].includes(word)) return ({ rotational }) => rotational
  if (['false', '0', 'no', 'off', 'f', 'n'].includes(word)) return ({ rotational }) => !rotational
  throw badHint('rotational', hint, 'true or false')
}

function badHint(name: string, found: unknown, expected: string): HintNotUnderstood {
  return new HintNotUnderstood(
    `Cannot read root device hint ${name}: found ${JSON.stringify(found)}, expected ${expected}`,
  )
}
