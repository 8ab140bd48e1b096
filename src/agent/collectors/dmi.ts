/**
 * What SMBIOS says of firmware, processors and memory, under dmidecode's own labels.
 *
 * Source: dmidecode(8); DMTF DSP0134 (types 0, 4, 16, 17); openstack/ironic-python-agent `dmi_inspector.py` (form).
 */
import { run } from '#lib/run.ts'

/** Label to value; a label with lines below it has a list. */
type Section = Record<string, string | string[]>

export interface Dmi {
  bios: Section
  cpu: Section[]
  /** The first array of memory, with the number of slots of all of them, and the modules. */
  memory: Record<string, string | string[] | number | Section[]>
}

export async function readDmi(): Promise<Dmi> {
  const { stdout } = await run('dmidecode', ['-t', 'bios', '-t', 'processor', '-t', 'memory'])
  return parseDmi(stdout)
}

export function parseDmi(output: string): Dmi {
  const sections = (wanted: number) =>
    output
      .split(/\n\n+/)
      .filter(block => Number(/^Handle 0x[0-9A-F]+, DMI type (\d+),/i.exec(block)?.[1] ?? -1) === wanted)
      .map(parseSection)
  const arrays = sections(16)
  const [first] = arrays
  const { Handle: _handle, ...memory } = first ?? {}
  const slots = arrays.reduce((sum, array) => sum + Number(array['Number Of Devices'] ?? 0), 0)
  return {
    bios: sections(0).at(-1) ?? {},
    cpu: sections(4),
    memory: { ...memory, ...(first === undefined ? {} : { 'Number Of Devices': slots }), devices: sections(17) },
  }
}

function parseSection(block: string): Section {
  const section: Section = {}
  let list: string[] | null = null
  for (const line of block.split('\n').map(text => text.trim())) {
    const colon = line.indexOf(':')
    if (line.startsWith('Handle 0x')) section.Handle = line
    else if (colon > 0) {
      const value = line.slice(colon + 1).trim()
      list = value === '' ? [] : null
      section[line.slice(0, colon).trim()] = list ?? value
    } else if (line !== '') list?.push(line)
  }
  return section
}
