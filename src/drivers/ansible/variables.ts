/**
 * The variables that a playbook gets: one, `ironic`, by the names that Ironic gave its parts. They go to ansible-playbook
 * in a file, never on its command line; texts are marked so that Ansible does not take them for templates, for whoever
 * may describe an instance must not be able to run programs on this host.
 *
 * Source: deploy interfaces, "ansible" (ironic/drivers/modules/ansible/deploy.py restated); Ansible's "Advanced playbook
 * syntax", unsafe or raw strings.
 */
import { imageInfo } from '#images/instance.ts'
import { isWholeDisk } from '#images/partitions.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { FlowContext, NodeContext } from '../driver.ts'
import type { AnsibleSettings } from './driver-info.ts'

type Info = Readonly<Record<string, unknown>>

/** Who is worked on, by whom. @throws InvalidInput when nobody knows where the ramdisk is */
export function machineVariables(ctx: NodeContext, { username, pythonInterpreter }: AnsibleSettings): Info {
  const { node, agent, config } = ctx
  const url = URL.parse(agent?.url ?? '')
  if (!url) {
    throw new InvalidInput(
      `Cannot run a playbook on node ${node.uuid}: its ramdisk has not called, so its address is not known`,
    )
  }
  const ip = url.hostname.replace(/^\[|\]$/g, '')
  return {
    ironic: {
      nodes: [{ name: node.uuid, ip, user: username, extra: node.extra ?? {} }],
      // Grows with every change of hands: what an older run left in the ramdisk gives way to a newer one.
      run: node.lease?.token ?? 0,
      raid_config: node.target_raid_config ?? {},
      erase: {
        iterations: config.deploy.shred_random_overwrite_iterations,
        zeros: config.deploy.shred_final_overwrite_with_zeros,
      },
    },
    ...(pythonInterpreter === null ? {} : { ansible_python_interpreter: pythonInterpreter }),
  }
}

/**
 * What is to be deployed.
 * @param configDriveFile where the config drive's content lies on this host, if it is no URL
 */
export async function imageVariables(ctx: FlowContext, configDriveFile: string): Promise<Info> {
  const { node, config } = ctx
  const { ansible } = config
  const info = await imageInfo(ctx, { plain: true })
  const [url] = info.urls
  const checksum = info.os_hash_value ? `${info.os_hash_algo}:${info.os_hash_value}` : info.checksum
  const given = Object.entries(node.instance_info).filter(([name]) => name.startsWith('image_'))
  const image = {
    ...Object.fromEntries(given.map(([name, value]) => [name.slice('image_'.length), value])),
    url,
    disk_format: info.disk_format ?? '',
    checksum: checksum ? (checksum.includes(':') ? checksum : `md5:${checksum}`) : '',
    username: info.image_server_user ?? '',
    password: info.image_server_password ?? '',
    proxies: info.proxies ?? {},
    no_proxy: info.no_proxy ?? '',
    validate_certs: !ansible.image_store_insecure,
    cafile: ansible.image_store_cafile ?? '',
    client_cert: ansible.image_store_certfile ?? '',
    client_key: ansible.image_store_keyfile ?? '',
    extra_memory: ansible.extra_memory,
  }
  const { configdrive } = node.instance_info
  const isUrl = typeof configdrive === 'string' && /^https?:\/\//.test(configdrive)
  return {
    image,
    root_device_hints: rootDeviceHints(node),
    ...(typeof configdrive === 'string' && configdrive !== ''
      ? { configdrive: isUrl ? { type: 'url', location: configdrive } : { type: 'file', location: configDriveFile } }
      : {}),
  }
}

/**
 * Root device hints for the playbook, which compares for equality alone.
 * @throws InvalidInput for any other comparison
 */
export function rootDeviceHints(node: Pick<NodeContext['node'], 'uuid' | 'instance_info' | 'properties'>): Info {
  const hints = node.instance_info.root_device ?? node.properties.root_device ?? {}
  if (typeof hints !== 'object' || hints === null || Array.isArray(hints)) {
    throw new InvalidInput(`Cannot read the root device hints of node ${node.uuid}: expected an object`)
  }
  return Object.fromEntries(Object.entries(hints).map(([name, hint]) => [name, exact(name, hint, node.uuid)]))
}

/** Our playbook writes whole disks. @throws InvalidInput for another image */
export function checkWholeDisk({ node }: Pick<NodeContext, 'node'>): void {
  if (isWholeDisk(node.instance_info)) return
  throw new InvalidInput(
    `Cannot deploy node ${node.uuid} by Ferrite's own playbook: its image is of a partition; expected the image of a ` +
      'whole disk (instance_info image_type whole-disk), or a playbook of your own in driver_info ansible_playbooks_path',
  )
}

/** As YAML, all texts marked unsafe. */
export function asVariablesFile(value: unknown): string {
  if (typeof value === 'string') return `!unsafe ${quoted(value)}`
  if (Array.isArray(value)) return `[${value.map(asVariablesFile).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null)
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined)
  return `{${entries.map(([name, inner]) => `${quoted(name)}: ${asVariablesFile(inner)}`).join(', ')}}`
}

function exact(name: string, hint: unknown, uuid: string): unknown {
  if (typeof hint !== 'string') return hint
  const [, operator = '', value = ''] =
    /^\s*(s?[=!]=|s?[<>]=?|[=<>]=?|<(?:in|or|all-in|range-in)>)?\s*(.*?)\s*$/.exec(hint) ?? []
  if (operator === '' || operator === '==' || operator === 's==') return value
  throw new InvalidInput(
    `Cannot use the root device hint ${name} of node ${uuid} with Ansible: found the comparison "${operator}", ` +
      'expected a plain value, == or s==',
  )
}

/** JSON's texts are YAML's, but for characters that YAML's readers refuse to see as they are. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
