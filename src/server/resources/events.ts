/**
 * Events that a network service reports of ports. They are logged and nothing else: nothing here waits for one.
 * Source: REST API reference, "Shards, events".
 */
import { Type } from 'typebox'
import { Nullable, Uuid } from '#protocol/field.ts'
import { MacAddress } from '#protocol/port.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'

const NetworkEvent = Type.Object(
  {
    event: Type.Enum(['network.bind_port', 'network.unbind_port', 'network.delete_port']),
    port_id: Uuid,
    mac_address: MacAddress,
    status: Type.String(),
    device_id: Type.Optional(Nullable(Uuid)),
    'binding:host_id': Type.Optional(Nullable(Uuid)),
    'binding:vnic_type': Type.Optional(Nullable(Type.String())),
  },
  { additionalProperties: false },
)

export const events: readonly Endpoint[] = [
  endpoint({
    id: 'event.post',
    method: 'POST',
    path: '/v1/events',
    from: '1.54',
    status: 204,
    policy: ['baremetal:events:post'],
    body: Type.Object({ events: Type.Array(NetworkEvent, { minItems: 1 }) }, { additionalProperties: false }),
    response: null,
    handle(call) {
      call.allow(null)
      for (const { event, port_id, mac_address, status } of call.body.events) {
        call.log.info({ event, port_id, mac_address, status }, 'a network service reports an event')
      }
      return undefined
    },
  }),
]
