/**
 * Finds what firmware could start on an EFI system partition, and under which name it is to be listed.
 *
 * Source: openstack/ironic-python-agent `efi_utils.py` (names, labels); shim's README.fallback for the CSV files.
 */
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { filesBelow } from './image-tree.ts'

export interface Loader {
  /** As firmware spells it: `\EFI\debian\shimx64.efi`. */
  path: string
  label: string
}

/** Lists that tell the loader and its name; each stands for all that the system brought. */
const lists = ['bootx64.csv', 'bootaa64.csv', 'boot.csv']
const programs = [
  'bootia32.efi',
  'bootx64.efi',
  'bootia64.efi',
  'bootarm.efi',
  'bootaa64.efi',
  'bootriscv32.efi',
  'bootriscv64.efi',
  'bootriscv128.efi',
  'grubaa64.efi',
  'winload.efi',
]

/** @param esp where the EFI system partition is mounted */
export async function findLoaders(esp: string): Promise<Loader[]> {
  const files = await filesBelow(esp)
  const named = (names: readonly string[]) => files.filter(file => names.includes(basename(file).toLowerCase()))
  for (const file of named(lists)) {
    const loader = readList(await readFile(join(esp, file)), dirname(file))
    // A list whose loader is not there would only shadow those that are.
    if (loader !== null && files.some(other => firmwarePath(other).toLowerCase() === loader.path.toLowerCase())) {
      return [loader]
    }
  }
  return named(programs).map((file, index) => ({ path: firmwarePath(file), label: `ironic${index + 1}` }))
}

/** The first entry of a list: `file,label,arguments,comment` in UTF-16, with or without a byte order mark. */
function readList(content: Buffer, folder: string): Loader | null {
  const bigEndian = content[0] === 0xfe && content[1] === 0xff
  const bytes = Buffer.from(content.subarray(0, content.length & ~1))
  const text = (bigEndian ? bytes.swap16() : bytes).toString('utf16le').replace(/^\ufeff/, '')
  const [file = '', label = ''] =
    text
      .split(/\r?\n/, 1)[0]
      ?.split(',')
      .map(part => part.trim()) ?? []
  if (!/^[^\\/:*?"<>|\0]+$/.test(file) || label === '') return null
  return { path: firmwarePath(join(folder, file)), label }
}

const firmwarePath = (file: string) => `\\${file.replaceAll('/', '\\')}`
