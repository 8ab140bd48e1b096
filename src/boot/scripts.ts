/**
 * The language of iPXE: the script that every machine starts with, and that of a node. Pure.
 *
 * iPXE has no quoting and no arithmetic but `inc`; a command that fails ends the script unless `||` follows. A machine
 * must never be left at a prompt because a server was away for a moment, so every download is tried again with growing
 * pauses until it succeeds or somebody switches the machine off.
 * Source: ipxe.org, "Scripting" and command reference.
 */
import type { IscsiVolume } from '#drivers/boot-interfaces.ts'
import { dashed, type Entry, type EntryPlace, type Loader } from './loader-config.ts'

/**
 * The entry script, boot.ipxe: finds the script of the node that one of the machine's NICs belongs to. When the server
 * answers and has none, the firmware goes on with its next boot device, as it must for a machine whose disk is not
 * first in its boot order.
 * @param options.url of the root that the files are served from
 * @param options.fallback script for machines that no node is waiting for, as given in [pxe] ipxe_fallback_script
 */
export function entryScript(options: { url: string; subdir: string; fallback: string | null }): string {
  const { url, subdir, fallback } = options
  return `#!ipxe
# Written by Ferrite at its start. Every machine begins here.

set pause:int32 1

:again
set nic:int32 0

:next-nic
isset \${net\${nic}/mac} || goto no-script
echo Ferrite: looking for the boot script of \${net\${nic}/mac}
chain --autofree ${url}/${subdir}/\${net\${nic}/mac:hexhyp} && exit ||
inc nic
goto next-nic

:no-script
imgfetch --name alive ${url}/boot.ipxe || goto unreachable
imgfree alive ||
${fallback === null ? '' : `chain --autofree ${fallback} && exit ||\n`}echo Ferrite: no node is to boot this machine from the network; its firmware goes on with the next boot device.
echo Ferrite: \${manufacturer} \${product}, serial number \${serial}, first MAC address \${net0/mac}
sleep 3
exit 1

:unreachable
echo Ferrite: ${url} does not answer; trying again in \${pause} s
sleep \${pause}
iseq \${pause} 32 || inc pause \${pause}
goto again
`
}

export const ipxeScripts: Loader = {
  name: 'ipxe',

  config(entry, place) {
    const { what, why } = entry
    if (entry.kind === 'disk') return '#!ipxe\necho Ferrite: the firmware goes on with its disk\nexit 1\n'
    return `#!ipxe

set pause:int32 1

:again
imgfree
echo Ferrite: booting ${what} of node ${place.uuid} (${why})
${loading(entry, place)}

:failed
echo Ferrite: ${what} could not be loaded; trying again in \${pause} s
sleep \${pause}
iseq \${pause} 32 || inc pause \${pause}
goto again
`
  },

  links: ({ pxe }, { address }) => [`${pxe.pxe_config_subdir}/${dashed(address)}`],

  defaultEntry: { line: /^goto .*$/m, text: label => `goto ${label}` },
}

function loading(entry: Exclude<Entry, { kind: 'disk' }>, { url, timeoutMs }: EntryPlace): string {
  // The firmware gets it as a disk.
  if (entry.kind === 'iso') return `sanboot ${url}/${entry.image} || goto failed`
  if (entry.kind === 'volumes') return fromVolumes(entry.volumes)
  const { kernel, ramdisk, parameters, bootif } = entry
  const timeout = timeoutMs > 0 ? ` --timeout ${timeoutMs}` : ''
  // The name after initrd= is how a kernel started by UEFI finds its ramdisk among what iPXE holds.
  const nic = bootif ? `BOOTIF=\${mac} ` : ''
  return `kernel${timeout} ${url}/${kernel} initrd=${ramdisk} ${nic}${parameters} || goto failed
initrd${timeout} --name ${ramdisk} ${url}/${ramdisk} || goto failed
boot || goto failed`
}

/** The further ones get the drive numbers after the first's, which BIOS systems know them by. */
function fromVolumes(volumes: readonly IscsiVolume[]): string {
  const asWhom = ({ initiator, login }: IscsiVolume) => [
    `set initiator-iqn ${initiator}`,
    // Those of the volume before would be shown to the next one's storage.
    ...(login
      ? [`set username ${login.username}`, `set password ${login.password}`]
      : ['clear username', 'clear password']),
  ]
  const [first, ...others] = volumes
  if (first === undefined) return 'goto failed'
  const hooks = others.flatMap((volume, index) => [
    ...asWhom(volume),
    `sanhook --drive 0x${(0x81 + index).toString(16)} ${iscsiUrl(volume)} || goto failed`,
  ])
  return [...hooks, ...asWhom(first), `sanboot ${iscsiUrl(first)} || goto failed`].join('\n')
}

/** Source: RFC 4173; the number of the volume is hexadecimal. */
export const iscsiUrl = ({ host, port, iqn, lun }: IscsiVolume) => `iscsi:${host}::${port}:${lun.toString(16)}:${iqn}`
