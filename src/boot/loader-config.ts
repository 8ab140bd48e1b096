/**
 * What a loader that came over the network is told to start, and the languages that loaders read it in. Pure: texts and
 * names of files; who writes them is `node-files.ts`.
 *
 * A configuration begins with lines of ours, whatever template the rest is made from: they say which NICs and which loader
 * it was written for, so that links can be taken away, or follow the ports, without asking anybody.
 */
import type { Config } from '#config/options.ts'
import type { IscsiVolume } from '#drivers/boot-interfaces.ts'

/** What is started, in words of all loaders. */
export type Entry = {
  /** For people who read the machine's screen: `the ramdisk`, … */
  what: string
  why: string
} & (
  | {
      kind: 'linux'
      label: 'deploy' | 'boot_ramdisk' | 'boot_anaconda'
      /** Names of the files in the node's directory. */
      kernel: string
      ramdisk: string
      /** The kernel's command line, checked. */
      parameters: string
      /** The kernel is told which NIC it came through. */
      bootif: boolean
    }
  | { kind: 'iso'; label: 'boot_ramdisk'; image: string }
  /** The first has the system. */
  | { kind: 'volumes'; label: 'boot_iscsi'; volumes: readonly IscsiVolume[] }
  /** The firmware goes on with its disk. */
  | { kind: 'disk'; label: 'boot_whole_disk' }
)

export interface EntryPlace {
  uuid: string
  /** The node's directory as a URL, and as a path below what the loader takes for its root. */
  url: string
  path: string
  /** Milliseconds for each download where the loader knows limits; 0 for none. */
  timeoutMs: number
}

export type LoaderName = 'ipxe' | 'pxelinux' | 'grub'

/** One loader's language. */
export interface Loader {
  readonly name: LoaderName
  /** Why it cannot start this entry; undefined when it can. */
  refuses?(entry: Entry): string | undefined
  config(entry: Entry, place: EntryPlace): string
  /** Names below the root by which it looks for the configuration of a NIC. */
  links(config: Config, port: LinkedPort): string[]
  /** The line that says which entry of an operator's template is started, and what it becomes. */
  readonly defaultEntry: { readonly line: RegExp; readonly text: (label: string) => string }
}

export interface LinkedPort {
  address: string
  /** InfiniBand: DHCP and pxelinux know the card by this, not by its MAC address. */
  hasClientId: boolean
}

const MACS = '# MAC addresses: '
const LOADER = '# Loader: '

/** The configuration with our lines in it; the first line of an iPXE script stays the first. */
export function withHeader(
  text: string,
  { uuid, entry, loader, macs }: { uuid: string; entry: Entry; loader: LoaderName; macs: readonly string[] },
): string {
  const { what, why } = entry
  const ours = [
    `# Written by Ferrite for node ${uuid}, to boot ${what}: ${why}`,
    `${LOADER}${loader}`,
    `${MACS}${macs.map(dashed).join(' ')}`,
  ]
  const [first = '', ...rest] = text.split('\n')
  return first.startsWith('#!') ? [first, ...ours, ...rest].join('\n') : [...ours, text].join('\n')
}

/** What our lines of a configuration say; null for a file that has none. */
export function headerOf(text: string): { loader: LoaderName; macs: string[]; line: string } | null {
  const lines = text.split('\n', 5)
  const line = lines.find(each => each.startsWith(MACS))
  const name = lines.find(each => each.startsWith(LOADER))?.slice(LOADER.length)
  const loader = (['ipxe', 'pxelinux', 'grub'] as const).find(each => each === name)
  if (line === undefined || loader === undefined) return null
  const macs = line.slice(MACS.length).split(' ')
  return { loader, macs: macs.filter(mac => mac !== ''), line }
}

/** The same configuration for other NICs. */
export function withMacs(text: string, macs: readonly string[]): string {
  const header = headerOf(text)
  return header === null ? text : text.replace(header.line, `${MACS}${macs.map(dashed).join(' ')}`)
}

/** As file names have it: lower case, with dashes. */
export const dashed = (mac: string) => mac.toLowerCase().replaceAll(':', '-')
