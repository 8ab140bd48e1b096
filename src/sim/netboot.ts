/**
 * Network boot as simulated firmware does it: fetch the entry script, from it the script for one of the machine's MAC
 * addresses, from that kernel and ramdisk, and hand the kernel's parameters to whoever runs next. It reads scripts of
 * the usual shape (`chain … mac …`, `kernel …`, `initrd …`, `sanboot …`), follows no jumps and runs nothing.
 *
 * Source: ipxe.org, command reference (chain, kernel, initrd, settings).
 */
import type { Clock } from '#lib/clock.ts'
import type { Network } from './network.ts'

export interface Netboot {
  /** URL of the entry script. */
  bootUrl: string
  /** In the order of the cards. */
  macs: readonly string[]
  network: Network
  clock: Clock
  signal: AbortSignal
  /** First pause when a server does not answer; it doubles up to 32 times this. */
  pauseMs: number
}

/** What the kernel was told; the words without `=` are left out. */
export type KernelParameters = ReadonlyMap<string, string>

/** What was loaded: a kernel with its command line, or an ISO in place of a disk. */
export type Loaded = { kind: 'kernel'; parameters: KernelParameters } | { kind: 'iso'; url: string }

/**
 * @returns null when the server answers and has nothing for this machine: its firmware goes on with the next device
 * @throws when the signal aborts
 */
export async function netboot(boot: Netboot): Promise<Loaded | null> {
  for (let pauseMs = boot.pauseMs; ; pauseMs = Math.min(pauseMs * 2, 32 * boot.pauseMs)) {
    const entry = await fetchText(boot, boot.bootUrl)
    if (entry === 'not there') return null
    if (entry !== 'no answer') {
      const loaded = await follow(boot, entry.text)
      if (loaded !== 'no answer') return loaded
    }
    await boot.clock.sleep(pauseMs, boot.signal)
  }
}

type Fetched = { text: string } | 'not there' | 'no answer'

async function follow(boot: Netboot, entry: string): Promise<Loaded | null | 'no answer'> {
  const chains = wordsOf(entry, 'chain').flatMap(
    words => words.find(word => /\$\{[^}]*(\{[^}]*\})?[^}]*mac/.test(word)) ?? [],
  )
  for (const mac of boot.macs) {
    for (const chain of chains) {
      const url = absolute(withMac(chain, mac), boot.bootUrl)
      const script = await fetchText(boot, url)
      if (script === 'no answer') return script
      if (script !== 'not there') return await load(boot, script.text, { mac, url })
    }
  }
  return null
}

/** Fetches what the script of a node names. */
async function load(
  boot: Netboot,
  script: string,
  from: { mac: string; url: string },
): Promise<Loaded | null | 'no answer'> {
  const [iso] = wordsOf(script, 'sanboot')
  if (iso?.[0] !== undefined) {
    const url = absolute(iso[0], from.url)
    return (await fetchWhole(boot, url)) ? { kind: 'iso', url } : 'no answer'
  }
  const [kernel] = wordsOf(script, 'kernel')
  const [initrd] = wordsOf(script, 'initrd')
  if (kernel === undefined) return null
  const [image = '', ...line] = kernel
  for (const file of [image, ...(initrd ?? []).slice(0, 1)]) {
    if (!(await fetchWhole(boot, absolute(withMac(file, from.mac), from.url)))) return 'no answer'
  }
  return { kind: 'kernel', parameters: parametersOf(line.map(word => withMac(word, from.mac))) }
}

/** The arguments of every line with this command: options with their values and what follows `||` or `&&` left out. */
function wordsOf(script: string, command: string): string[][] {
  const found: string[][] = []
  for (const line of script.split('\n')) {
    const [name, ...rest] = line.trim().match(/(?:"[^"]*"|[^\s"])+/g) ?? []
    if (name !== command) continue
    const end = rest.findIndex(word => word === '||' || word === '&&')
    const words = end < 0 ? rest : rest.slice(0, end)
    let first = 0
    while (words[first]?.startsWith('--')) first += withValue.has(words[first] ?? '') ? 2 : 1
    found.push(words.slice(first))
  }
  return found
}

const withValue = new Set(['--timeout', '--name'])

/** Puts the MAC address where a script has a setting for it: `${mac}`, `${net0/mac:hexhyp}`, `${net${nic}/mac:hexhyp}`. */
function withMac(text: string, mac: string): string {
  return text.replace(/\$\{(?:net(?:\d+|\$\{\w+\})\/)?mac(:hexhyp)?\}/g, (_, hyphens: string | undefined) =>
    hyphens === undefined ? mac : mac.replaceAll(':', '-'),
  )
}

const absolute = (target: string, base: string) => new URL(target, base).href

export function parametersOf(words: readonly string[]): KernelParameters {
  const parameters = new Map<string, string>()
  for (const word of words) {
    const at = word.indexOf('=')
    if (at > 0) parameters.set(word.slice(0, at), word.slice(at + 1).replace(/^"(.*)"$/, '$1'))
  }
  return parameters
}

async function fetchText({ network, signal }: Netboot, url: string): Promise<Fetched> {
  try {
    const { status, text } = await network.call({ method: 'GET', url, signal })
    if (status === 200) return { text }
    return status === 404 ? 'not there' : 'no answer'
  } catch {
    signal.throwIfAborted()
    return 'no answer'
  }
}

async function fetchWhole({ network, signal }: Netboot, url: string): Promise<boolean> {
  try {
    const { status, body } = await network.download({ url, signal })
    for await (const _ of body);
    return status === 200
  } catch {
    signal.throwIfAborted()
    return false
  }
}
