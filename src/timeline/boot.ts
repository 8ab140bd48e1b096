/**
 * A wait for a machine that boots, divided by what was seen of the boot: requests for an address, files that were
 * fetched, the kernel's first message, the look-up. Each hop says what the machine is at from then on. Pure.
 */
import type { LogRow, SeenRow } from '#db/timeline-rows.ts'
import type { PhaseName } from '#protocol/timeline.ts'

/** What the machine is at from a moment on. */
export interface BootMark {
  atMs: number
  phase: PhaseName
  what: string
  /** An ISO was fetched: by firmware, or by a BMC, which does so before the machine is on. */
  ofMedium?: boolean
}

/** A file that the machine fetched. */
export interface Fetch {
  atMs: number
  bytes: number
  seconds: number
}

/** When a ramdisk's kernel began, and when it handed over to init. */
export interface KernelTimes {
  beganMs: number
  initMs: number | null
}

/** In a log, the seconds since the kernel's start that a line begins with. */
const stamp = /^\[ *(\d+\.\d+)\]/
const initLine = /^\[ *(\d+\.\d+)\] Run \/\S*init\b/m

/** Of each boot whose log came. A piece comes a moment after its last line, so the piece that was quickest is right. */
export function kernelTimes(pieces: readonly LogRow[]): KernelTimes[] {
  const boots = Map.groupBy(pieces, piece => piece.boot_id)
  return [...boots.values()].flatMap(boot => {
    const began = boot.flatMap(({ came_at, text }) => {
      const last = text.split('\n').findLast(line => stamp.test(line))
      const seconds = Number(stamp.exec(last ?? '')?.[1] ?? Number.NaN)
      return Number.isNaN(seconds) ? [] : [Date.parse(came_at) - seconds * 1000]
    })
    if (began.length === 0) return []
    const beganMs = Math.min(...began)
    const init = boot.map(({ text }) => initLine.exec(text)?.[1]).find(seconds => seconds !== undefined)
    return [{ beganMs, initMs: init === undefined ? null : beganMs + Number(init) * 1000 }]
  })
}

/**
 * The marks of the boots in a run, in their order. Between power-on and the first of them the machine is in its firmware,
 * or, where none but the agent is ever heard of, somewhere in its boot.
 */
export function bootMarks(seen: readonly SeenRow[], kernels: readonly KernelTimes[]): BootMark[] {
  const marks: BootMark[] = []
  let hasKernel = false
  let hasRamdisk = false
  for (const { at, data } of seen) {
    const atMs = Date.parse(at)
    const hop = String(data.hop)
    const isFirmware =
      data.client === undefined || data.client === null || /^(PXE|HTTP)Client/.test(String(data.client))
    if (hop.startsWith('dhcp ')) {
      const isLoaded = hasKernel && hasRamdisk
      if (isLoaded || !isFirmware) marks.push({ atMs, phase: 'agent', what: 'the ramdisk asks for an address' })
      else if (hop === 'dhcp ack') marks.push({ atMs, phase: 'fetch', what: 'has an address, asks for files' })
      else marks.push({ atMs, phase: 'dhcp', what: 'firmware or loader asks for an address' })
      continue
    }
    if (hop === 'lookup') {
      marks.push({ atMs, phase: 'agent', what: 'the agent looked its node up' })
      hasKernel = false
      hasRamdisk = false
      continue
    }
    const ofMedium = hop === 'medium'
    if (ofMedium) {
      hasKernel = true
      hasRamdisk = true
    }
    if (hop === 'kernel') hasKernel = true
    if (hop === 'ramdisk') hasRamdisk = true
    const isLoaded = hasKernel && hasRamdisk
    const fromMs = typeof data.seconds === 'number' ? atMs - data.seconds * 1000 : atMs
    marks.push({
      atMs: fromMs,
      phase: 'fetch',
      what: `fetches ${hop === 'tftp' || hop === 'ipxe' ? 'its loader' : `its ${hop}`}`,
      ofMedium,
    })
    if (isLoaded) marks.push({ atMs, phase: 'kernel', what: 'kernel and ramdisk are loaded', ofMedium })
  }
  for (const { beganMs, initMs } of kernels) {
    marks.push({ atMs: beganMs, phase: 'kernel', what: 'the kernel runs' })
    if (initMs !== null) marks.push({ atMs: initMs, phase: 'agent', what: 'init and agent start' })
  }
  return inOrder(marks)
}

export function fetchesIn(seen: readonly SeenRow[]): Fetch[] {
  return seen.flatMap(({ at, data }) =>
    typeof data.bytes === 'number' && typeof data.seconds === 'number'
      ? [{ atMs: Date.parse(at), bytes: data.bytes, seconds: data.seconds }]
      : [],
  )
}

/** How far a boot is; it goes back only with another boot, or from loader to loader. */
const rank: Readonly<Partial<Record<PhaseName, number>>> = { dhcp: 1, fetch: 1, kernel: 2, agent: 3 }

/** By time; what speaks of something that was over already is passed over, such as a log that came late. */
function inOrder(marks: readonly BootMark[]): BootMark[] {
  return marks.toSorted((a, b) => a.atMs - b.atMs || (rank[a.phase] ?? 0) - (rank[b.phase] ?? 0))
}
