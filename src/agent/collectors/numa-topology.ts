/**
 * Which memory, processors and network cards belong to which NUMA node. A value that cannot be read makes the whole
 * useless, and is an error.
 *
 * Source: the kernel's documentation of /sys/devices/system/node; openstack/ironic-python-agent `numa_inspector.py` (form).
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readOrNull } from '../hardware/sys-files.ts'

export interface NumaTopology {
  ram: { numa_node: number; size_kb: number }[]
  /** One for each core, with the numbers of its threads. */
  cpus: { cpu: number; numa_node: number; thread_siblings: number[] }[]
  nics: { name: string; numa_node: number }[]
}

export async function numaTopology({
  nodes = '/sys/devices/system/node',
  nics = '/sys/class/net',
} = {}): Promise<NumaTopology> {
  const numbers = numbered(await readdir(nodes), 'node')
  if (numbers.length === 0) throw new Error(`${nodes} has no NUMA nodes`)
  const topology: NumaTopology = { ram: [], cpus: [], nics: [] }
  for (const node of numbers) {
    const dir = join(nodes, `node${node}`)
    const memory = /MemTotal:\s*(\d+) kB/.exec(await readFile(join(dir, 'meminfo'), 'utf8'))?.[1]
    if (memory === undefined) throw new Error(`${dir}/meminfo does not say MemTotal in kB`)
    topology.ram.push({ numa_node: node, size_kb: Number(memory) })
    for (const thread of numbered(await readdir(dir), 'cpu')) {
      const file = join(dir, `cpu${thread}`, 'topology/core_id')
      const core = wholeNumber(file, await readFile(file, 'utf8'))
      // A core's number is unique within its node only.
      const known = topology.cpus.find(({ cpu, numa_node }) => cpu === core && numa_node === node)
      if (known) known.thread_siblings.push(thread)
      else topology.cpus.push({ cpu: core, numa_node: node, thread_siblings: [thread] })
    }
  }
  for (const name of (await readdir(nics)).sort()) {
    const file = join(nics, name, 'device/numa_node')
    const text = await readOrNull(file)
    if (text !== null) topology.nics.push({ name, numa_node: wholeNumber(file, text) })
  }
  return topology
}

/** -1 is a card's "no particular node". */
function wholeNumber(file: string, text: string): number {
  const trimmed = text.trim()
  if (!/^-?\d+$/.test(trimmed)) throw new Error(`${file}: found "${trimmed}", expected a whole number`)
  return Number(trimmed)
}

function numbered(names: readonly string[], prefix: string): number[] {
  return names
    .filter(name => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map(name => Number(name.slice(prefix.length)))
    .sort((a, b) => a - b)
}
