/**
 * Volumes: connectors (by what a node reaches storage) and targets (which volumes are its). Both live by the same
 * rules, so they are made by one function. Source: REST API reference, "Volume connectors and targets".
 */
import { Type } from 'typebox'
import { findNode, type Node } from '#db/nodes.ts'
import { type ObjectTable, objectTable } from '#db/objects.ts'
import { ofNode, ofProject } from '#db/port-rows.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import type { Field } from '#protocol/field.ts'
import { Link } from '#protocol/node.ts'
import { volumeConnectorFields, volumeTargetFields } from '#protocol/volume.ts'
import { choosing, paging, selectionOf } from '../collection.ts'
import { creationSchema, readCreation } from '../creation.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { holding, mustFindNamedNode, mustFindNextNode, mustFindNode } from '../find-node.ts'
import { boolean, ident } from '../parameters.ts'
import { applyPatch, changedNames, JsonPatch, type Operation, readPatch } from '../patch.ts'
import { listScope, seesNode } from '../policy/access.ts'
import { resourceOf } from '../resource.ts'
import { type Computed, guarded } from '../view.ts'

const from = '1.32'
const detail = { fields: choosing.fields, detail: boolean({ doc: 'true: all fields' }) }
const listPolicy = ['baremetal:volume:list_all', 'baremetal:volume:list']

/** The endpoints of one kind. */
function volumeEndpoints<F extends Record<string, Field>>(kind: {
  fields: F
  table: ObjectTable<F>
  /** `connector`, `target` */
  word: 'connector' | 'target'
  short: readonly string[]
  computed?: Readonly<Record<string, Computed>>
}): readonly Endpoint[] {
  const { fields, table, word } = kind
  const noun = `Volume ${word}`
  const id = word === 'connector' ? 'volumeConnector' : 'volumeTarget'
  const path = `/volume/${word}s` as const
  const resource = resourceOf({
    table,
    fields,
    noun,
    key: `${word}s`,
    path,
    short: kind.short,
    computed: kind.computed ?? {},
  })
  const { view } = resource
  const ofCaller = (call: Call) => {
    const project = listScope(call, 'volume')
    return project === undefined ? undefined : ofProject(`volume_${word}s`, project)
  }

  /** The volume of a path and its node. @throws NotFound */
  async function mustFind(call: Call<Readonly<Record<string, string>>>) {
    const [uuid = ''] = Object.values(call.params) // the path has one
    const found: Readonly<Record<string, unknown>> & { uuid: string } = await resource.find(call, uuid)
    const node = await findNode(call.db, String(found.node_uuid))
    if (!node || !seesNode(call, node)) throw new NotFound(`${noun} ${uuid} could not be found.`)
    call.allow(node)
    return { found, node }
  }

  /** What the patch changes. @throws InvalidInput */
  async function planPatch(call: Call, uuid: string, node: Node, operations: readonly Operation[]) {
    if (node.power_state !== 'power off') {
      throw new InvalidInput(
        `Cannot update volume ${word} ${uuid}: node ${node.uuid} is in "${node.power_state}", expected power off`,
      )
    }
    const changed = applyPatch(fields, await resource.find(call, uuid), operations)
    if (typeof changed.node_uuid === 'string') {
      changed.node_uuid = (await mustFindNextNode(call, changed.node_uuid, { from: node, attempt })).uuid
    }
    return changed
  }

  const one = `/v1${path}/{${word}_uuid}` as const
  return [
    endpoint({
      id: `${id}.list`,
      method: 'GET',
      path: `/v1${path}`,
      from,
      status: 200,
      policy: listPolicy,
      query: { ...paging, node: ident({}), ...detail },
      response: resource.List,
      async handle(call) {
        const { node } = call.query
        const visible = ofCaller(call)
        const equal = node === undefined ? {} : { node_uuid: (await mustFindNode(call, node)).uuid }
        return resource.list(call, selectionOf(call, call.query, view), { equal, visible })
      },
    }),
    endpoint({
      id: `node.listVolume${word === 'connector' ? 'Connectors' : 'Targets'}`,
      method: 'GET',
      path: `/v1/nodes/{node_ident}${path}`,
      from,
      status: 200,
      policy: listPolicy,
      query: { ...paging, ...detail },
      response: resource.List,
      async handle(call) {
        const { uuid } = await mustFindNode(call, call.params.node_ident)
        return resource.list(call, selectionOf(call, call.query, view), { visible: ofNode(`volume_${word}s`, uuid) })
      },
    }),
    endpoint({
      id: `${id}.create`,
      method: 'POST',
      path: `/v1${path}`,
      from,
      status: 201,
      policy: ['baremetal:volume:create'],
      body: creationSchema(fields),
      response: resource.Answer,
      async handle(call) {
        const values = readCreation(fields, call.body, call.version)
        const node = await mustFindNamedNode(call, String(values.node_uuid), attempt)
        return resource.add(call, { ...values, node_uuid: node.uuid })
      },
    }),
    endpoint({
      id: `${id}.get`,
      method: 'GET',
      path: one,
      from,
      status: 200,
      policy: ['baremetal:volume:get'],
      query: { fields: choosing.fields },
      response: resource.Answer,
      async handle(call) {
        const selection = resource.selection(call, call.query.fields)
        const { found } = await mustFind(call)
        return resource.show(call, found.uuid, selection)
      },
    }),
    endpoint({
      id: `${id}.update`,
      method: 'PATCH',
      path: one,
      from,
      status: 200,
      policy: ['baremetal:volume:update'],
      body: JsonPatch,
      response: resource.Answer,
      async handle(call) {
        const operations = readPatch(fields, call.body, call.version)
        const { found, node } = await mustFind(call)
        // What cannot be is refused before the node is waited for; under the lease all of it is checked again.
        const foreseen = await planPatch(call, found.uuid, node, operations)
        if (Object.keys(foreseen).length === 0) return resource.show(call, found.uuid)
        const told = `change ${changedNames(foreseen)} of volume ${word} ${found.uuid}`
        await holding(call, node, { purpose: `update volume ${word}`, told }, async held => {
          await resource.change(call, found.uuid, await planPatch(call, found.uuid, held.node, operations))
        })
        return resource.show(call, found.uuid)
      },
    }),
    endpoint({
      id: `${id}.delete`,
      method: 'DELETE',
      path: one,
      from,
      status: 204,
      policy: ['baremetal:volume:delete'],
      response: null,
      async handle(call) {
        const { found, node } = await mustFind(call)
        checkDeletable(word, found.uuid, node)
        const told = `delete volume ${word} ${found.uuid}`
        await holding(call, node, { purpose: `delete volume ${word}`, told }, async held => {
          checkDeletable(word, found.uuid, held.node)
          await resource.remove(call, found.uuid)
        })
        return undefined
      },
    }),
  ]
}

const attempt = 'Cannot give the volume to node'

const unpowered = ['manageable', 'enroll', 'adopt failed']

function checkDeletable(word: string, uuid: string, node: Node): void {
  const { power_state: power, provision_state: state } = node
  if (power === 'power off' || unpowered.includes(state)) return
  throw new InvalidInput(
    `Cannot delete volume ${word} ${uuid}: node ${node.uuid} is in "${power}" and "${state}", ` +
      `expected power off or one of ${unpowered.join(', ')}`,
  )
}

const VolumeRoot = Type.Object({
  links: Type.Array(Link),
  connectors: Type.Array(Link),
  targets: Type.Array(Link),
})

/** What there is below `/volume` of a parent. */
function rootJson(call: Call, parent: string): Answer {
  const { base } = call.links
  const both = (path: string) => [
    { href: `${base}/v1${parent}${path}`, rel: 'self' },
    { href: `${base}${parent}${path}`, rel: 'bookmark' },
  ]
  const root = {
    links: both('/volume/'),
    connectors: both('/volume/connectors'),
    targets: both('/volume/targets'),
  }
  return { json: JSON.stringify(root) }
}

export const volumes: readonly Endpoint[] = [
  endpoint({
    id: 'volume.get',
    method: 'GET',
    path: '/v1/volume',
    from,
    status: 200,
    policy: ['baremetal:volume:get'],
    response: VolumeRoot,
    handle(call) {
      call.allow(null)
      return rootJson(call, '')
    },
  }),
  endpoint({
    id: 'node.volume',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/volume',
    from,
    status: 200,
    policy: ['baremetal:volume:get'],
    response: VolumeRoot,
    async handle(call) {
      const { uuid } = await mustFindNode(call, call.params.node_ident)
      return rootJson(call, `/nodes/${uuid}`)
    },
  }),
  ...volumeEndpoints({
    word: 'connector',
    fields: volumeConnectorFields,
    table: objectTable({ table: 'volume_connectors', fields: volumeConnectorFields, noun: 'volume connector' }),
    short: ['uuid', 'node_uuid', 'type', 'connector_id', 'links'],
  }),
  ...volumeEndpoints({
    word: 'target',
    fields: volumeTargetFields,
    table: objectTable({ table: 'volume_targets', fields: volumeTargetFields, noun: 'volume target' }),
    short: ['uuid', 'node_uuid', 'volume_type', 'boot_index', 'volume_id', 'links'],
    computed: {
      properties: guarded(
        'baremetal:volume:view_target_properties',
        {
          redacted_contents:
            '** Value redacted: Requires permission baremetal:volume:view_target_properties access. Permission denied. **',
        },
        { columns: ['properties'], print: ({ properties }, { masker }) => masker.text(String(properties)) },
      ),
    },
  }),
]
