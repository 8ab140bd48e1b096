/**
 * The iPXE scripts as texts: the one every machine starts with, and those of a node that is to boot a ramdisk, or to
 * start its instance without a disk. Pure.
 *
 * iPXE has no quoting and no arithmetic but `inc`; a command that fails ends the script unless `||` follows. A machine
 * must never be left at a prompt because a server was away for a moment, so every download is tried again with growing
 * pauses until it succeeds or somebody switches the machine off.
 * Source: ipxe.org, "Scripting" and command reference.
 */

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

/**
 * The script of a node that is to boot a ramdisk.
 * @param options.files URL of the directory with kernel and ramdisk
 * @param options.parameters the kernel's command line, checked
 * @param options.timeoutMs for each download; 0 for no limit
 */
export function ramdiskScript(options: {
  node: { uuid: string; name: string | null }
  macs: readonly string[]
  mode: string
  files: string
  prefix: 'deploy' | 'rescue'
  parameters: string
  timeoutMs: number
}): string {
  const { node, macs, mode, files, prefix, timeoutMs } = options
  const load = loading({
    kernel: `${files}/${prefix}_kernel`,
    ramdisk: `${files}/${prefix}_ramdisk`,
    parameters: `BOOTIF=\${mac} ${options.parameters}`,
    timeoutMs,
  })
  return retrying({ node, macs, what: 'the ramdisk', why: mode, load })
}

/**
 * The script of a node whose instance is a kernel and a ramdisk.
 * @param options as for ramdiskScript
 */
export function instanceRamdiskScript(options: {
  node: { uuid: string }
  macs: readonly string[]
  files: string
  parameters: string
  timeoutMs: number
}): string {
  const { node, macs, files, timeoutMs } = options
  const parameters = `root=/dev/ram0 text ${options.parameters}`
  const load = loading({ kernel: `${files}/kernel`, ramdisk: `${files}/ramdisk`, parameters, timeoutMs })
  return retrying({ node, macs, what: 'the ramdisk', why: 'instance', load })
}

/**
 * The script of a node that an installer is to install, which follows the kickstart beside it.
 * @param options as for ramdiskScript
 * @param options.repository of packages, which bring the second stage along; null: it lies beside the kickstart
 */
export function installerScript(options: {
  node: { uuid: string }
  macs: readonly string[]
  files: string
  repository: string | null
  parameters: string
  timeoutMs: number
}): string {
  const { node, macs, files, repository, timeoutMs } = options
  const from = repository === null ? `inst.stage2=${files}` : `inst.repo=${repository}`
  const parameters = `text inst.ks=${files}/ks.cfg ${from} BOOTIF=\${mac} ${options.parameters}`
  const load = loading({ kernel: `${files}/kernel`, ramdisk: `${files}/ramdisk`, parameters, timeoutMs })
  return retrying({ node, macs, what: 'the installer', why: 'kickstart', load })
}

/** The script of a node whose instance is an ISO, which the firmware gets as a disk. */
export function isoScript(options: { node: { uuid: string }; macs: readonly string[]; url: string }): string {
  const { node, macs, url } = options
  return retrying({ node, macs, what: 'the ISO', why: 'instance', load: `sanboot ${url} || goto failed` })
}

/** Fetches kernel and ramdisk and starts them. */
function loading(options: { kernel: string; ramdisk: string; parameters: string; timeoutMs: number }): string {
  const { kernel, ramdisk, parameters, timeoutMs } = options
  const timeout = timeoutMs > 0 ? ` --timeout ${timeoutMs}` : ''
  const name = ramdisk.slice(ramdisk.lastIndexOf('/') + 1)
  // The name after initrd= is how a kernel started by UEFI finds its ramdisk among what iPXE holds.
  return `kernel${timeout} ${kernel} initrd=${name} ${parameters} || goto failed
initrd${timeout} --name ${name} ${ramdisk} || goto failed
boot || goto failed`
}

/** Tries until it works. */
function retrying(options: {
  node: { uuid: string }
  macs: readonly string[]
  what: string
  why: string
  load: string
}): string {
  const { node, macs, what, why, load } = options
  return `#!ipxe
# Written by Ferrite for node ${node.uuid}, to boot ${what}: ${why}
${MACS_LINE}${macs.map(dashed).join(' ')}

set pause:int32 1

:again
imgfree
echo Ferrite: booting ${what} of node ${node.uuid} (${why})
${load}

:failed
echo Ferrite: ${what} could not be loaded; trying again in \${pause} s
sleep \${pause}
iseq \${pause} 32 || inc pause \${pause}
goto again
`
}

const MACS_LINE = '# MAC addresses: '

/** The MAC addresses, with dashes, that a node's script was written for. */
export function macsOfScript(script: string): string[] {
  const line = script.split('\n').find(each => each.startsWith(MACS_LINE))
  return (
    line
      ?.slice(MACS_LINE.length)
      .split(' ')
      .filter(mac => mac !== '') ?? []
  )
}

/** As file names have it: lower case, with dashes. */
export const dashed = (mac: string) => mac.toLowerCase().replaceAll(':', '-')
