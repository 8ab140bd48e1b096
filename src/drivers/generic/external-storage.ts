/**
 * The storage interface of nodes whose volumes somebody else provides: they are there already, and the node's volume
 * targets and connectors say where and by which name it may have them. An instance without an image boots from them.
 *
 * Source: ironic/drivers/modules/storage/external.py, ironic/common/pxe_utils.py (behaviour); RFC 4173 (bootstrapping by
 * iSCSI).
 */
import { isIPv6 } from 'node:net'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Volumes } from '#db/volumes.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { IscsiVolume, StorageInterface } from '../boot-interfaces.ts'
import type { NodeContext } from '../driver.ts'

const external: StorageInterface = {
  async validate(ctx) {
    const volumes = await bootVolumes(ctx)
    const { node, interfaces } = ctx
    if (volumes.length === 0 || interfaces.boot.capabilities?.includes('iscsi_volume_boot')) return
    throw new InvalidInput(
      `Cannot boot node ${node.uuid} from a volume: its boot interface ${node.boot_interface} cannot; expected ipxe or http-ipxe`,
    )
  },
  bootVolumes,
}

export default external

/** Those of an instance that has no image: its first is the one with boot_index 0. */
async function bootVolumes(ctx: NodeContext): Promise<readonly IscsiVolume[]> {
  const { node } = ctx
  if (node.instance_info.image_source) return []
  const { targets, connectors } = await ctx.volumes()
  if (!targets.some(target => Number(target.boot_index) === 0)) return []
  const initiator = connectors.find(connector => connector.type === 'iqn')?.connector_id
  if (initiator === undefined) {
    throw new InvalidInput(
      `Cannot boot node ${node.uuid} from a volume: it has no volume connector of type iqn; expected one with its initiator name`,
    )
  }
  return targets.map(target => ({ initiator: String(initiator), ...placeOf(target, node.uuid) }))
}

const Properties = Compile(
  Type.Object({
    target_iqn: Type.String({ pattern: '^[!-~]+$' }),
    target_portal: Type.String({ pattern: '^[!-~]+$' }),
    target_lun: Type.Union([Type.Integer({ minimum: 0, maximum: 65_535 }), Type.String({ pattern: '^[0-9]{1,5}$' })]),
    // What goes into a boot script must not end its line.
    auth_username: Type.Optional(Type.String({ pattern: '^[!-~]*$' })),
    auth_password: Type.Optional(Type.String({ pattern: '^[!-~]*$' })),
  }),
)

function placeOf(target: Volumes['targets'][number], uuid: string): Omit<IscsiVolume, 'initiator'> {
  const cannot = `Cannot boot node ${uuid} from volume target ${target.uuid}`
  if (target.volume_type !== 'iscsi') {
    throw new InvalidInput(`${cannot}: its volume_type is ${target.volume_type}; expected iscsi`)
  }
  const { properties } = target
  if (!Properties.Check(properties)) {
    const [first] = Properties.Errors(properties)
    throw new InvalidInput(
      `${cannot}: its properties are not those of iSCSI (${first?.instancePath || '/'} ${first?.message}); expected target_iqn, target_portal, target_lun`,
    )
  }
  const url = URL.parse(`iscsi://${properties.target_portal}`)
  if (!url?.hostname) {
    throw new InvalidInput(`${cannot}: its target_portal is ${properties.target_portal}; expected ADDRESS:PORT`)
  }
  const { auth_username: username, auth_password: password } = properties
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return {
    host: isIPv6(host) ? `[${host}]` : host,
    port: url.port === '' ? 3260 : Number(url.port),
    iqn: properties.target_iqn,
    lun: Number(properties.target_lun),
    ...(username && password ? { login: { username, password } } : {}),
  }
}
