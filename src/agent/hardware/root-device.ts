/**
 * Root device hints: which disk gets the operating system. Pure: it is handed the disks and the hints, and names every
 * hint it does not understand. A hint that matches nothing is an error, never "any disk will do".
 *
 * Source: openstack/ironic-python-agent `device_hints.py`, `hardware.py`; openstack/ironic `common/...` for `<range-in>`.
 */
import type { AgentNode } from '#protocol/agent.ts'
import { AgentFault } from '../errors.ts'
import type { BlockDevice } from './block-devices.ts'

const GIB = 1024 ** 3
/** Without hints, disks below this are not taken: they are boot modules, card readers, virtual media. */
const LEAST_ROOT_BYTES = 4 * GIB

/** The hints that count for this node: those of the instance before those of the node. */
export function hintsOf(node: AgentNode | null): Record<string, unknown> {
  const hints = node?.instance_info.root_device ?? node?.properties.root_device ?? {}
  if (typeof hints === 'object' && hints !== null && !Array.isArray(hints)) return hints as Record<string, unknown>
  throw new AgentFault(
    'DeviceNotFound',
    `Cannot choose the root disk: root_device is ${JSON.stringify(hints)}, expected an object`,
  )
}

/**
 * The disk to deploy to: the first that matches all hints; without hints the smallest of at least 4 GiB.
 * @throws AgentFault DeviceNotFound that shows what was looked for and what there is
 */
export function chooseRootDevice(devices: readonly BlockDevice[], hints: Record<string, unknown>): BlockDevice {
  const found = Object.keys(hints).length === 0 ? smallest(devices) : matching(devices, hints)[0]
  if (found !== undefined) return found
  const wanted = Object.keys(hints).length === 0 ? 'of at least 4 GiB' : `matching ${JSON.stringify(hints)}`
  const present = devices.map(({ name, size, model, serial }) => `${name} (${size} bytes, ${model}, ${serial})`)
  throw new AgentFault(
    'DeviceNotFound',
    `Looking for a root disk ${wanted}, found none among: ${present.join(', ') || 'no disks'}`,
  )
}

/** All devices that match every hint, in the order given. */
export function matching(devices: readonly BlockDevice[], hints: Record<string, unknown>): BlockDevice[] {
  const tests = Object.entries(hints).map(([name, hint]) => test(name, hint))
  return devices.filter(device => tests.every(matches => matches(device)))
}

function smallest(devices: readonly BlockDevice[]): BlockDevice | undefined {
  return devices
    .filter(({ size }) => size >= LEAST_ROOT_BYTES)
    .sort((a, b) => a.size - b.size || (a.name < b.name ? -1 : 1))[0]
}

type Matches = (device: BlockDevice) => boolean

const texts: Record<string, (device: BlockDevice) => (string | null)[]> = {
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
    if (!new RegExp(`^${operator}\\s`).test(text)) continue
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

function badHint(name: string, found: unknown, expected: string): AgentFault {
  return new AgentFault(
    'DeviceNotFound',
    `Cannot read root device hint ${name}: found ${JSON.stringify(found)}, expected ${expected}`,
  )
}
