/** The documents that clients find everything by. Source: REST API reference, "Documents at the root". */
import { type TSchema, Type } from 'typebox'
import { maximum, minimum, minorOf, versionText } from '#protocol/microversion.ts'
import { Link } from '#protocol/node.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import type { Links } from '../links.ts'
import { gated } from '../openapi/gates.ts'

const VersionDocument = Type.Object({
  id: Type.Literal('v1'),
  status: Type.Literal('CURRENT'),
  min_version: Type.String(),
  version: Type.String(),
  links: Type.Array(Link),
})

/** Collections with the version they came with; each has self and bookmark in the document of v1. */
const collections: Readonly<Record<string, string>> = {
  chassis: '1.1',
  nodes: '1.1',
  ports: '1.1',
  drivers: '1.1',
  lookup: '1.22',
  heartbeat: '1.22',
  portgroups: '1.23',
  volume: '1.32',
  conductors: '1.49',
  allocations: '1.52',
  events: '1.54',
  shards: '1.82',
  continue_inspection: '1.84',
  deploy_templates: '1.55',
  runbooks: '1.92',
  inspection_rules: '1.96',
}

const linked: Record<string, TSchema> = {}
for (const name of Object.keys(collections)) linked[name] = Type.Optional(Type.Array(Link))

const V1Document = gated(
  Type.Object({
    id: Type.Literal('v1'),
    version: VersionDocument,
    links: Type.Array(Link),
    media_types: Type.Object({ base: Type.String(), type: Type.String() }),
    ...linked,
  }),
  Object.fromEntries(Object.entries(collections).map(([name, from]) => [name, { from }])),
)

export const root: readonly Endpoint[] = [
  endpoint({
    id: 'root.get',
    method: 'GET',
    path: '/',
    from: '1.1',
    status: 200,
    policy: 'public',
    urgent: true,
    response: Type.Object({
      name: Type.String(),
      description: Type.String(),
      default_version: VersionDocument,
      versions: Type.Array(VersionDocument),
    }),
    handle({ links }) {
      const version = versionDocument(links)
      const name = 'OpenStack Ironic API'
      const description = 'Bare-metal provisioning by Ferrite, with the API of OpenStack Ironic.'
      return { json: JSON.stringify({ name, description, default_version: version, versions: [version] }) }
    },
  }),
  endpoint({
    id: 'v1.get',
    method: 'GET',
    path: '/v1',
    from: '1.1',
    status: 200,
    policy: 'public',
    urgent: true,
    response: V1Document,
    handle({ links, version }) {
      const { base } = links
      const document: Record<string, unknown> = {
        id: 'v1',
        version: versionDocument(links),
        links: [
          { href: `${base}/v1/`, rel: 'self' },
          { href: 'https://docs.openstack.org/api-ref/baremetal/', rel: 'describedby', type: 'text/html' },
        ],
        media_types: { base: 'application/json', type: 'application/vnd.openstack.ironic.v1+json' },
      }
      for (const [name, from] of Object.entries(collections)) {
        if (minorOf(from) > version) continue
        document[name] = [
          { href: `${base}/v1/${name}/`, rel: 'self' },
          { href: `${base}/${name}/`, rel: 'bookmark' },
        ]
      }
      return { json: JSON.stringify(document) }
    },
  }),
]

function versionDocument({ base }: Links) {
  return {
    id: 'v1',
    status: 'CURRENT',
    min_version: versionText(minimum),
    version: versionText(maximum),
    links: [{ href: `${base}/v1/`, rel: 'self' }],
  }
}
