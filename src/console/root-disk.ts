/**
 * Which disk an image would be written to, and why: the hints of the node put to each disk that the last inspection
 * found, one by one, by the reading that the agent has. Without hints it is the smallest disk of at least 4 GiB.
 */
import type { Disk } from '#protocol/agent.ts'
import { type HintedDevice, HintNotUnderstood, readRootDeviceHints } from '#protocol/root-device-hints.ts'

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

const leastBytes = 4 * 1024 ** 3

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
  if (problem !== undefined) return { verdicts: disks.map(disk => without(disk)), hints, from, problem }
  const names = Object.keys(hints)
  if (names.length === 0) {
    const chosen = [...disks].filter(disk => disk.size >= leastBytes).sort(bySizeAndName)[0]
    const verdicts = disks.map(disk => ({
      disk,
      isChosen: disk === chosen,
      hints: [],
      reason:
        disk === chosen
          ? 'No root device hints are set: it is the smallest disk of at least 4 GiB'
          : disk.size < leastBytes
            ? 'It is smaller than 4 GiB'
            : `${chosen?.name} is smaller, or first by name`,
    }))
    return { verdicts, hints, from, problem: chosen ? undefined : 'No disk has 4 GiB' }
  }
  try {
    const judged = disks.map(disk => ({
      disk,
      hints: names.map(name => ({
        name,
        wanted: hints[name],
        holds: readRootDeviceHints({ [name]: hints[name] })(hinted(disk)),
      })),
    }))
    const chosen = judged.find(one => one.hints.every(hint => hint.holds))?.disk
    const verdicts = judged.map(({ disk, hints: tried }) => {
      const missed = tried.filter(hint => !hint.holds).map(hint => hint.name)
      const reason =
        missed.length > 0
          ? `Does not match ${missed.join(', ')}`
          : disk === chosen
            ? 'It is the first that matches every hint'
            : `Matches, too, but ${chosen?.name} comes first`
      return { disk, isChosen: disk === chosen, hints: tried, reason }
    })
    return {
      verdicts,
      hints,
      from,
      problem: chosen ? undefined : 'No disk matches every hint: a deployment would fail',
    }
  } catch (error) {
    if (!(error instanceof HintNotUnderstood)) throw error
    return { verdicts: disks.map(disk => without(disk)), hints, from, problem: error.message }
  }
}

const without = (disk: Disk): Verdict => ({ disk, isChosen: false, hints: [], reason: '–' })

function bySizeAndName(a: Disk, b: Disk): number {
  return a.size - b.size || a.name.localeCompare(b.name)
}

/** An inspection tells one spelling of each; the agent knows those of udev and of the kernel. */
function hinted(disk: Disk): HintedDevice {
  const some = (value: string | null | undefined) => (value ? [value] : [])
  const { serial, wwn, ...rest } = disk
  return { ...rest, serials: some(serial), wwns: some(wwn) }
}
