/**
 * BIOS settings and firmware components of a node: what its driver last read. They are changed by steps, never here.
 * Source: REST API reference, "BIOS, firmware".
 */
import { Type } from 'typebox'
import { biosRows, firmwareRows } from '#db/firmware-rows.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { biosFields, firmwareFields } from '#protocol/firmware.ts'
import { selectionOf } from '../collection.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { NotAcceptable } from '../faults.ts'
import { mustFindNode } from '../find-node.ts'
import { escaped, selfAndBookmark } from '../links.ts'
import { boolean, list } from '../parameters.ts'
import { answerSchema } from '../schemas.ts'
import { type Selection, type ViewContext, viewOf } from '../view.ts'
import { maskerFor } from './node-view.ts'

const BiosAnswer = answerSchema(biosFields)
const FirmwareAnswer = answerSchema(firmwareFields)

const biosView = viewOf({
  fields: biosFields,
  key: 'name',
  short: ['name', 'value', 'created_at', 'updated_at', 'links'],
  computed: {
    links: {
      columns: ['node_uuid', 'name'],
      print: ({ node_uuid, name }, { base }) =>
        selfAndBookmark(base, escaped(`/nodes/${node_uuid}/bios/${encodeURIComponent(String(name))}`)),
    },
  },
})
const firmwareView = viewOf({ fields: firmwareFields, key: 'component', short: [], computed: {} })

function contextOf(call: Pick<Call, 'links' | 'conductor'>): ViewContext {
  return { base: escaped(call.links.base), masker: maskerFor(call.conductor.secretKeys()) }
}

/** The fields asked for, or all. A field that is too new is a malformed request here. */
function firmwareSelection(call: Pick<Call, 'version'>, names: readonly string[] | undefined): Selection {
  if (names === undefined) return firmwareView.full(call.version)
  try {
    return firmwareView.chosen(names, call.version)
  } catch (error) {
    if (error instanceof NotAcceptable) throw new InvalidInput(error.message)
    throw error
  }
}

const tooNew = { from: '1.74', below: 400 } as const

export const nodeFirmware: readonly Endpoint[] = [
  endpoint({
    id: 'node.listBios',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/bios',
    from: '1.40',
    status: 200,
    policy: ['baremetal:node:bios:get'],
    query: { fields: list(tooNew), detail: boolean(tooNew) },
    response: Type.Object({ bios: Type.Array(BiosAnswer) }),
    async handle(call) {
      const selection = selectionOf(call, call.query, biosView)
      const node = await mustFindNode(call, call.params.node_ident)
      const rows = await biosRows(call.db, selection.own, node.uuid)
      const context = contextOf(call)
      return { json: `{"bios":[${rows.map(row => selection.print(row, context)).join(',')}]}` }
    },
  }),
  endpoint({
    id: 'node.getBios',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/bios/{setting_name}',
    from: '1.40',
    status: 200,
    policy: ['baremetal:node:bios:get'],
    response: Type.Record(Type.String(), BiosAnswer),
    async handle(call) {
      const { node_ident, setting_name: name } = call.params
      const selection = biosView.full(call.version)
      const node = await mustFindNode(call, node_ident)
      const [row] = await biosRows(call.db, selection.own, node.uuid, name)
      if (!row) throw new NotFound(`Node ${node.uuid} has no BIOS setting ${JSON.stringify(name.slice(0, 80))}`)
      return { json: `{${JSON.stringify(name)}:${selection.print(row, contextOf(call))}}` }
    },
  }),
  endpoint({
    id: 'node.listFirmware',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/firmware',
    from: '1.86',
    status: 200,
    policy: ['baremetal:node:firmware:get'],
    query: { fields: list({}) },
    response: Type.Object({ firmware: Type.Array(FirmwareAnswer) }),
    async handle(call) {
      const selection = firmwareSelection(call, call.query.fields)
      const node = await mustFindNode(call, call.params.node_ident)
      const rows = await firmwareRows(call.db, selection.own, node.uuid)
      const context = contextOf(call)
      return { json: `{"firmware":[${rows.map(row => selection.print(row, context)).join(',')}]}` }
    },
  }),
]
