/**
 * What ramdisks of before Ironic 22.1 call: the endpoint of the inspector, a service that Ironic had beside it. They post
 * the same data to a URL that ends in /v1/continue, and know nothing of versions.
 *
 * Source: Ironic Inspector's HTTP API, "Ramdisk Callback".
 */
import { Type } from 'typebox'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { checkEnabled, InspectionBody } from './ramdisk.ts'

export const inspector: readonly Endpoint[] = [
  endpoint({
    id: 'inspector.continue',
    method: 'POST',
    path: '/v1/continue',
    from: '1.1',
    status: 200,
    policy: 'public',
    urgent: true,
    bodySize: 'inspection',
    body: InspectionBody,
    response: Type.Object({ uuid: Type.String() }),
    async handle(call) {
      checkEnabled(call)
      const data = call.body as Record<string, unknown> // an object by its schema
      return { json: JSON.stringify(await call.conductor.inspectionData(data, null)) }
    },
  }),
]
