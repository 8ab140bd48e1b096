/**
 * The language of pxelinux, which starts BIOS machines: it looks for its configuration by the type and address of the NIC
 * below the directory that it was loaded from. Pure.
 *
 * Source: wiki.syslinux.org, "Config" and "PXELINUX".
 */
import { dashed, type Loader } from './loader-config.ts'

export const pxelinux: Loader = {
  name: 'pxelinux',

  refuses({ kind }) {
    if (kind === 'volumes') return 'pxelinux starts no volume'
    return kind === 'iso' ? 'pxelinux starts no ISO' : undefined
  },

  config(entry, { uuid }) {
    const start =
      entry.kind === 'linux'
        ? [
            `  KERNEL ${uuid}/${entry.kernel}`,
            `  INITRD ${uuid}/${entry.ramdisk}`,
            `  APPEND ${entry.parameters}`,
            // Adds BOOTIF= with the NIC.
            ...(entry.bootif ? ['  IPAPPEND 2'] : []),
          ]
        : ['  LOCALBOOT -1']
    // A failed download ends at the prompt, which after five seconds starts the entry again.
    return `DEFAULT ${entry.label}
PROMPT 0
TIMEOUT 50
ONTIMEOUT ${entry.label}

LABEL ${entry.label}
  SAY Ferrite: booting ${entry.what} of node ${uuid} (${entry.why})
${start.join('\n')}
`
  },

  links: ({ pxe }, { address, hasClientId }) => [
    `${pxe.pxe_config_subdir}/${hasClientId ? '20' : '01'}-${dashed(address)}`,
  ],

  defaultEntry: { line: /^default .*$/im, text: label => `default ${label}` },
}
