/**
 * Operators' own templates of loader configurations, in the language and with the variables that they have them in for
 * Ironic. What they do not say is ours.
 *
 * Source: boot facts, "Files", context variables (ironic/common/pxe_utils.py restated).
 */
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { Config } from '#config/options.ts'
import type { IscsiVolume } from '#drivers/boot-interfaces.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { TemplateWrong } from '#lib/template/faults.ts'
import { renderTemplate } from '#lib/template/template.ts'
import type { Entry, EntryPlace, Loader, LoaderName } from './loader-config.ts'
import { iscsiUrl } from './scripts.ts'

/**
 * The configuration from the template that is set for the loader; null where none is.
 * @throws InvalidInput naming option, file and what is wrong
 */
export async function templated(
  { config, node }: NodeContext,
  loader: Loader,
  entry: Entry,
  place: EntryPlace,
): Promise<string | null> {
  if (typeof node.driver_info.pxe_template === 'string' && !config.pxe.enable_insecure_template_override) {
    throw new InvalidInput(
      `Cannot boot node ${node.uuid}: driver_info/pxe_template is set, and nodes may not name templates of this host; ` +
        'expected none, or [pxe] enable_insecure_template_override',
    )
  }
  const chosen = templateFor(config, node, loader.name)
  if (chosen === null) return null
  const scope = { pxe_options: optionsOf(config, loader, entry, place), ROOT: '{{ ROOT }}', DISK_IDENTIFIER: '' }
  const text = await filledIn(chosen, scope)
  return text.replace(loader.defaultEntry.line, loader.defaultEntry.text(entry.label))
}

/** A template that is no node's. @throws InvalidInput naming option, file and what is wrong */
export async function filledIn(
  { option, path }: { option: string; path: string },
  scope: Record<string, unknown>,
): Promise<string> {
  try {
    return `${renderTemplate(await readFile(path, 'utf8'), scope as Parameters<typeof renderTemplate>[1])}\n`
  } catch (error) {
    if (!(error instanceof TemplateWrong) && !(error instanceof Error && 'code' in error)) throw error
    throw new InvalidInput(`Cannot use the template of ${option}, ${path}: ${messageOf(error)}`, { cause: error })
  }
}

function templateFor({ pxe }: Config, node: NodeContext['node'], loader: LoaderName) {
  const { pxe_template: own } = node.driver_info
  if (typeof own === 'string') return { option: 'driver_info/pxe_template', path: own }
  const arch = typeof node.properties.cpu_arch === 'string' ? node.properties.cpu_arch : ''
  const byArch = loader === 'ipxe' ? undefined : pxe.pxe_config_template_by_arch[arch]
  if (byArch !== undefined) return { option: `[pxe] pxe_config_template_by_arch (${arch})`, path: byArch }
  const option = (
    { ipxe: 'ipxe_config_template', pxelinux: 'pxe_config_template', grub: 'uefi_pxe_config_template' } as const
  )[loader]
  const path = pxe[option]
  return path === null ? null : { option: `[pxe] ${option}`, path }
}

function optionsOf(config: Config, { name }: Loader, entry: Entry, { url, path, timeoutMs }: EntryPlace) {
  const at = (file: string) => (name === 'ipxe' ? `${url}/${file}` : `${path}/${file}`)
  const linux = entry.kind === 'linux' ? entry : null
  const deploys = linux?.label === 'deploy'
  const files = { kernel: linux ? at(linux.kernel) : '', ramdisk: linux ? at(linux.ramdisk) : '' }
  const { tftp_server: server } = config.pxe
  return {
    deployment_aki_path: deploys ? files.kernel : '',
    deployment_ari_path: deploys ? files.ramdisk : '',
    aki_path: deploys ? '' : files.kernel,
    ari_path: deploys ? '' : files.ramdisk,
    initrd_filename: linux?.ramdisk ?? '',
    pxe_append_params: linux?.parameters ?? '',
    ramdisk_opts: deploys ? '' : (linux?.parameters ?? ''),
    // The parameters above have what an installer needs of these.
    ks_cfg_url: `${url}/ks.cfg`,
    ks_template_path: '',
    stage2_url: '',
    repo_url: '',
    boot_iso_url: entry.kind === 'iso' ? at(entry.image) : '',
    tftp_server: isIP(server) === 6 ? `[${server}]` : server,
    ipxe_timeout: timeoutMs,
    linux_cmd: 'linux',
    initrd_cmd: 'initrd',
    ...volumeOptions(entry),
  }
}

function volumeOptions(entry: Entry) {
  const [first, ...others] = entry.kind === 'volumes' ? entry.volumes : []
  const login = (volume?: IscsiVolume) => ({
    username: volume?.login?.username ?? '',
    password: volume?.login?.password ?? '',
  })
  return {
    boot_from_volume: first !== undefined,
    iscsi_boot_url: first === undefined ? '' : iscsiUrl(first),
    iscsi_initiator_iqn: first?.initiator ?? '',
    ...login(first),
    iscsi_volumes: others.map(volume => ({ url: iscsiUrl(volume), ...login(volume) })),
  }
}
