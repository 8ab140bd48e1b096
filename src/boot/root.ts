/**
 * What every machine needs before any node is known: the loaders, below the TFTP and the HTTP root, and the scripts that
 * they begin with. Written once at start.
 */
import { access } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Config } from '#config/options.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { makeDirectory, putFile, putLink } from './files.ts'
import { entryGrubConfig } from './grub.ts'
import { filledIn } from './loader-template.ts'
import { entryScript } from './scripts.ts'

/** Where Debian's ipxe package and its relatives in other distributions have the loaders. */
const LOADER_DIRECTORIES = ['/usr/lib/ipxe', '/usr/share/ipxe', '/usr/share/ipxe/x86_64', '/boot']

/** Loaders offered besides those of the configuration: ipxe.efi has drivers of its own for NICs without UEFI ones. */
const FURTHER_LOADERS = ['ipxe.efi']

/**
 * What `pxe` and `http` need, by the names that it is fetched by, and where Debian and its relatives have it. The shim
 * asks for GRUB by this name, and pxelinux for its library.
 */
const SIGNED_GRUB = ['/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed']
const SHIMS = ['/usr/lib/shim/shimx64.efi.signed', '/usr/lib/shim/shimx64.efi.signed.latest']
const PXELINUX = ['/usr/lib/PXELINUX/pxelinux.0', '/usr/share/syslinux/pxelinux.0']
const LDLINUX = ['/usr/lib/syslinux/modules/bios/ldlinux.c32', '/usr/share/syslinux/ldlinux.c32']

/** Writes the scripts and puts the loaders in place; loaders that are not on this host are left out, with a warning. */
export async function prepareBootRoots(config: Config, log: Log): Promise<void> {
  const { pxe, deploy, DEFAULT } = config
  const roots = [pxe.tftp_root, deploy.http_root]
  for (const root of roots) await makeDirectory(join(root, pxe.pxe_config_subdir), pxe.dir_permission)
  await putFile(join(deploy.http_root, 'boot.ipxe'), await ipxeEntry(config), pxe.file_permission)
  await putFile(join(pxe.tftp_root, 'grub/grub.cfg'), await grubEntry(config, ''), pxe.file_permission)
  // Last, for both roots may be one.
  const top = new URL(deploy.http_url).pathname.replace(/\/$/, '')
  if (pxe.tftp_root !== deploy.http_root) {
    await putFile(join(deploy.http_root, 'grub/grub.cfg'), await grubEntry(config, top), pxe.file_permission)
  }

  for (const [name, path] of Object.entries(pxe.loader_file_paths)) {
    if (basename(name) !== name) {
      throw new InvalidInput(`Cannot use [pxe] loader_file_paths: found ${name}; expected names without directories`)
    }
    if (!(await exists(path))) {
      throw new InvalidInput(`Cannot use [pxe] loader_file_paths: ${name} is to come from ${path}, which is not there`)
    }
    for (const root of roots) await putLink(join(root, name), path, pxe.file_permission)
  }
  const uses = (...names: string[]) => names.some(name => DEFAULT.enabled_boot_interfaces.includes(name))
  const ipxe = new Set([pxe.ipxe_bootfile_name, pxe.uefi_ipxe_bootfile_name, ...FURTHER_LOADERS])
  const wanted: [name: string, places: readonly string[]][] = [...ipxe].map(name => {
    return [name, LOADER_DIRECTORIES.map(each => join(each, basename(name)))]
  })
  if (uses('pxe')) wanted.push([pxe.pxe_bootfile_name, PXELINUX], ['ldlinux.c32', LDLINUX])
  if (uses('pxe', 'http')) wanted.push([pxe.uefi_pxe_bootfile_name, SHIMS], ['grubx64.efi', SIGNED_GRUB])
  for (const [name, places] of wanted) {
    if (Object.hasOwn(pxe.loader_file_paths, name)) continue
    const source = await firstThere(places)
    if (source !== undefined) for (const root of roots) await putLink(join(root, name), source, pxe.file_permission)
    else if (!(await exists(join(pxe.tftp_root, name)))) {
      log.warn(
        { loader: name, places },
        'a loader is not on this host (Debian: ipxe, pxelinux, syslinux-common, shim-signed, grub-efi-amd64-signed; or [pxe] loader_file_paths): machines that need it will not boot',
      )
    }
  }
}

async function ipxeEntry({ pxe, deploy }: Config): Promise<string> {
  const { ipxe_boot_script: path, ipxe_fallback_script: fallback, pxe_config_subdir: subdir } = pxe
  if (path === null) return entryScript({ url: deploy.http_url, subdir, fallback })
  const scope = { ipxe_for_mac_uri: `${subdir}/`, ipxe_fallback_script: fallback ?? '' }
  return filledIn({ option: '[pxe] ipxe_boot_script', path }, scope)
}

async function grubEntry({ pxe }: Config, root: string): Promise<string> {
  const { initial_grub_template: path } = pxe
  return path === null ? entryGrubConfig(root) : filledIn({ option: '[pxe] initial_grub_template', path }, {})
}

async function firstThere(places: readonly string[]): Promise<string | undefined> {
  for (const path of places) if (await exists(path)) return path
  return undefined
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
