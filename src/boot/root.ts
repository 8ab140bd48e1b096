/**
 * What every machine needs before any node is known: the loaders, below the TFTP and the HTTP root, and the entry
 * script. Written once at start.
 */
import { access, mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Config } from '#config/options.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { putFile, putLink } from './files.ts'
import { entryScript } from './scripts.ts'

/** Where Debian's ipxe package and its relatives in other distributions have the loaders. */
const LOADER_DIRECTORIES = ['/usr/lib/ipxe', '/usr/share/ipxe', '/usr/share/ipxe/x86_64', '/boot']

/** Loaders offered besides the two of the configuration: ipxe.efi has drivers of its own for NICs without UEFI ones. */
const FURTHER_LOADERS = ['ipxe.efi']

/** Writes the entry script and puts the loaders in place; loaders that are not on this host are left out, with a warning. */
export async function prepareBootRoots(config: Config, log: Log): Promise<void> {
  const { pxe, deploy } = config
  const roots = [pxe.tftp_root, deploy.http_root]
  for (const root of roots) await mkdir(root, { recursive: true })
  await mkdir(join(deploy.http_root, pxe.pxe_config_subdir), { recursive: true })
  const script = entryScript({
    url: deploy.http_url,
    subdir: pxe.pxe_config_subdir,
    fallback: pxe.ipxe_fallback_script,
  })
  await putFile(join(deploy.http_root, 'boot.ipxe'), script, pxe.file_permission)

  for (const [name, path] of Object.entries(pxe.loader_file_paths)) {
    if (basename(name) !== name) {
      throw new InvalidInput(`Cannot use [pxe] loader_file_paths: found ${name}; expected names without directories`)
    }
    if (!(await exists(path))) {
      throw new InvalidInput(`Cannot use [pxe] loader_file_paths: ${name} is to come from ${path}, which is not there`)
    }
    for (const root of roots) await putLink(join(root, name), path, pxe.file_permission)
  }
  const wanted = new Set([pxe.ipxe_bootfile_name, pxe.uefi_ipxe_bootfile_name, ...FURTHER_LOADERS])
  for (const name of wanted) {
    if (Object.hasOwn(pxe.loader_file_paths, name)) continue
    const source = await findLoader(name)
    if (source !== undefined) for (const root of roots) await putLink(join(root, name), source, pxe.file_permission)
    else if (!(await exists(join(pxe.tftp_root, name)))) {
      log.warn({ loader: name }, 'iPXE loader is not on this host (package ipxe): machines that need it will not boot')
    }
  }
}

async function findLoader(name: string): Promise<string | undefined> {
  for (const directory of LOADER_DIRECTORIES) {
    const path = join(directory, basename(name))
    if (await exists(path)) return path
  }
  return undefined
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
