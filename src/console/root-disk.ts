/**
 * Which disk an image would be written to, and why: the hints of the node put to each disk that the last inspection
 * found, one by one, by the reading that the agent has. Without hints it is the smallest disk of at least 4 GiB.
 */
import type { Disk } from '#protocol/agent.ts'
import {
  chooseRootDisk,
  type HintedDevice,
  HintNotUnderstood,
  leastRootBytes,
  readRootDeviceHints,
} from '#protocol/root-device-hints.ts'

export interface Verdict {
  readonly disk: Disk
  readonly isChosen: boolean
  /** Each hint, and whether the disk has it; empty without hints. */
  readonly hints: readonly { readonly name: string; readonly wanted: unknown; readonly holds: boolean }[]
  /** In a sentence. */
  readonly reason: string
}

export interface RootDisk {
  readonly verdicts: readonly Verdict[]
  readonly hints: Readonly<Record<string, unknown>>
  /** Whose hints are in force. */
  readonly from: 'instance_info' | 'properties' | null
  /** Why nobody can tell. */
  readonly problem: string | undefined
}

/** The hints in force: those of the instance before those of the node, as text or as an object. */
export function hintsOf(node: {
  instance_info: Readonly<Record<string, unknown>>
  properties: Readonly<Record<string, unknown>>
}): Pick<RootDisk, 'hints' | 'from' | 'problem'> {
  for (const from of ['instance_info', 'properties'] as const) {
    const given = node[from].root_device
    if (given === undefined || given === null || given === '') continue
    try {
      const hints: unknown = typeof given === 'string' ? JSON.parse(given) : given
      // null and lists are objects, too, but no hints.
      if (typeof hints === 'object' && hints !== null && !Array.isArray(hints)) {
        return { hints: hints as Record<string, unknown>, from, problem: undefined }
      }
    } catch {
      // Told below.
    }
    return { hints: {}, from, problem: `${from} root_device is no object: ${JSON.stringify(given)}` }
  }
  return { hints: {}, from: null, problem: undefined }
}

export function rootDisk(node: Parameters<typeof hintsOf>[0], disks: readonly Disk[]): RootDisk {
  const { hints, from, problem } = hintsOf(node)
  if (problem !== undefined) return { verdicts: disks.map(untold), hints, from, problem }
  try {
    const devices = disks.map(disk => ({ ...hinted(disk), disk }))
    const chosen = chooseRootDisk(devices, hints)
    const verdicts = devices.map(device => {
      const tried = Object.entries(hints).map(([name, wanted]) => ({
        name,
        wanted,
        holds: readRootDeviceHints({ [name]: wanted })(device),
      }))
      const { disk } = device
      return { disk, isChosen: device === chosen, hints: tried, reason: reasonOf(disk, tried, chosen?.disk) }
    })
    const none = from === null ? 'No disk has 4 GiB' : 'No disk matches every hint: a deployment would fail'
    return { verdicts, hints, from, problem: chosen ? undefined : none }
  } catch (error) {
    if (!(error instanceof HintNotUnderstood)) throw error
    return { verdicts: disks.map(untold), hints, from, problem: error.message }
  }
}

function reasonOf(disk: Disk, tried: Verdict['hints'], chosen: Disk | undefined): string {
  const missed = tried.filter(hint => !hint.holds).map(hint => hint.name)
  if (missed.length > 0) return `Does not match ${missed.join(', ')}`
  if (tried.length > 0) {
    return disk === chosen ? 'It is the first that matches every hint' : `Matches, too, but ${chosen?.name} comes first`
  }
  if (disk === chosen) return 'No root device hints are set: it is the smallest disk of at least 4 GiB'
  return disk.size < leastRootBytes ? 'It is smaller than 4 GiB' : `${chosen?.name} is smaller, or first by name`
}

const untold = (disk: Disk): Verdict => ({ disk, isChosen: false, hints: [], reason: '–' })

/** An inspection tells one spelling of each; the agent knows those of udev and of the kernel. */
function hinted(disk: Disk): HintedDevice {
  const some = (value: string | null | undefined) => (value ? [value] : [])
  const { serial, wwn, ...rest } = disk
  return { ...rest, serials: some(serial), wwns: some(wwn) }
}
