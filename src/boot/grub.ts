/**
 * The language of GRUB, which starts UEFI machines, with secure boot as well: the entry configuration that every machine
 * reads, and that of a node. GRUB takes its files from where it came itself, TFTP or HTTP, so none has a server in it.
 *
 * Pure.
 * Source: GRUB manual, "Network", "Shell-like scripting", commands linux, initrd, configfile.
 */
import { wordsOf } from './kernel-parameters.ts'
import { dashed, type Loader } from './loader-config.ts'

/**
 * The entry configuration, grub/grub.cfg.
 * @param root the path that GRUB's root stands for, as in a URL; '' where it is the top
 */
export function entryGrubConfig(root: string): string {
  return `# Written by Ferrite at its start. Every machine that GRUB starts begins here.
set timeout=0
echo "Ferrite: looking for the boot configuration of $net_default_mac"
configfile ${root}/$net_default_mac.conf
echo "Ferrite: no node is to boot this machine from the network; its firmware goes on with the next boot device."
sleep 3
exit 1
`
}

export const grub: Loader = {
  name: 'grub',

  refuses({ kind }) {
    if (kind === 'volumes') return 'GRUB starts no volume'
    return kind === 'iso' ? 'GRUB starts no ISO over the network' : undefined
  },

  config(entry, { uuid, path }) {
    if (entry.kind !== 'linux') return 'exit 1\n'
    const bootif = entry.bootif ? ' BOOTIF=$net_default_mac' : ''
    const parameters = wordsOf(entry.parameters).map(word => ` ${quoted(word)}`)
    return `set timeout=0
while true; do
  echo "Ferrite: booting ${entry.what} of node ${uuid} (${entry.why})"
  if linux ${path}/${entry.kernel}${bootif}${parameters.join('')}; then
    if initrd ${path}/${entry.ramdisk}; then
      boot
    fi
  fi
  echo "Ferrite: ${entry.what} could not be loaded; trying again in 5 s"
  sleep 5
done
`
  },

  links: (_, { address }) => [`grub.cfg-01-${dashed(address)}`, `${address.toLowerCase()}.conf`],

  defaultEntry: { line: /^set default=.*$/im, text: label => `set default=${label}` },
}

/**
 * A word for GRUB's shell. What stands in double quotes for the kernel is given without them: GRUB puts a word with
 * blanks into quotes again, which the kernel takes as well.
 */
function quoted(word: string): string {
  if (/^[\w.,:=/@%+-]+$/.test(word)) return word
  return `'${word.replaceAll('"', '').replaceAll("'", `'\\''`)}'`
}
