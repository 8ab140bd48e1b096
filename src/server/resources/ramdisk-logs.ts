/**
 * Logs of ramdisks: taken while the ramdisk runs, kept per node and boot, told to who may read the node's history.
 *
 * Who posts a piece cannot prove who he is before there is a token, which is when the log is needed most. So he is
 * taken at his word as a look-up is (a machine's address, a node that waits for a ramdisk), and what he can do is little:
 * a boot has so much room and a node so many boots. Once the agent has shown its token, nothing comes without.
 */
import { Type } from 'typebox'
import { findAgent } from '#db/agents.ts'
import { findNode } from '#db/nodes.ts'
import { bootsOf, keepPiece, logOf } from '#db/ramdisk-logs.ts'
import { Forbidden, NotFound } from '#lib/fault.ts'
import { maskText, secretsIn } from '#lib/mask.ts'
import { timestamp } from '#protocol/field.ts'
import { BootLog, LoggedBoot, LogPiece } from '#protocol/ramdisk-log.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { mustFindNode } from '../find-node.ts'
import { integer } from '../parameters.ts'
import { checkEnabled, checkToken, lookedUp } from './ramdisk.ts'

async function take(call: Call<unknown, unknown, LogPiece>): Promise<undefined> {
  checkEnabled(call)
  const { ramdisk_log_size: limitBytes } = call.config.ferrite
  if (limitBytes === 0) throw new Forbidden('Logs of ramdisks are not taken here: [ferrite] ramdisk_log_size is 0')
  const { boot_id, piece, text, addresses, node_uuid, agent_token } = call.body
  const known = node_uuid === undefined ? undefined : await findAgent(call.db, node_uuid)
  // The look-up lets in while a ramdisk is waited for; an agent with its token is let in for as long as it has one.
  const hasToken = agent_token !== undefined && (known?.token ?? null) !== null
  if (hasToken) checkToken(agent_token, known, 'the log')
  const node =
    hasToken && node_uuid ? await findNode(call.db, node_uuid) : await lookedUp(call, { addresses, node_uuid })
  if (!node) throw new NotFound(`Node ${node_uuid} could not be found.`)
  const agent = known?.node_uuid === node.uuid ? known : await findAgent(call.db, node.uuid)
  if (agent?.token && agent.heartbeats > 0) checkToken(agent_token, agent, 'the log')
  const secrets = [agent?.token ?? '', ...secretsIn(node.driver_info), ...secretsIn(node.instance_info)]
  const masked = maskText(text.replaceAll('\0', ''), secrets)
  const at = timestamp(call.clock.now())
  await keepPiece(call.db, { nodeUuid: node.uuid, bootId: boot_id.toLowerCase(), piece, text: masked, at }, limitBytes)
}

export const ramdiskLogs: readonly Endpoint[] = [
  endpoint({
    id: 'ramdisk.log',
    method: 'POST',
    path: '/v1/ramdisk_log',
    from: '1.1',
    status: 202,
    policy: 'public',
    body: LogPiece,
    response: null,
    handle: take,
  }),
  endpoint({
    id: 'node.listRamdiskLogs',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/ramdisk_logs',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:history:get'],
    response: Type.Object({ ramdisk_logs: Type.Array(LoggedBoot) }),
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      return { json: JSON.stringify({ ramdisk_logs: await bootsOf(call.db, node.uuid) }) }
    },
  }),
  endpoint({
    id: 'node.getRamdiskLog',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/ramdisk_logs/{boot}',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:history:get'],
    query: { after: integer({ min: -1, doc: 'the last_piece of the answer before' }) },
    response: BootLog,
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const { boot } = call.params
      const log = await logOf(call.db, {
        nodeUuid: node.uuid,
        bootId: boot.toLowerCase(),
        after: call.query.after ?? -1,
      })
      if (!log) throw new NotFound(`No log of boot ${boot} of node ${node.uuid} is kept`)
      return { json: JSON.stringify(log) }
    },
  }),
]
