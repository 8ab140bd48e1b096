/** Event subscriptions of an emulated BMC. They are kept and shown; nothing is sent. Source: DMTF DSP2046, EventService. */
import { RedfishError } from '../messages.ts'
import { type Resource, ROOT, resource } from '../resources.ts'
import { at, type Body, json, members, type Route } from '../routes.ts'

const SERVICE = `${ROOT}/EventService`
const SUBSCRIPTIONS = `${SERVICE}/Subscriptions`
const eventTypes = ['StatusChange', 'ResourceUpdated', 'ResourceAdded', 'ResourceRemoved', 'Alert']

export class EventService {
  readonly #subscriptions = new Map<string, Resource>()
  #made = 0

  get routes(): Route[] {
    return [
      {
        path: at(SERVICE),
        get: () =>
          resource(SERVICE, 'EventService.v1_10_0.EventService', 'Event service', {
            ServiceEnabled: true,
            EventTypesForSubscription: eventTypes,
            Subscriptions: { '@odata.id': SUBSCRIPTIONS },
          }),
      },
      {
        ...members(SUBSCRIPTIONS, 'EventDestination', () => [...this.#subscriptions.keys()]),
        post: ({ body }) => this.#create(body),
      },
      {
        path: at(`${SUBSCRIPTIONS}/*`),
        get: ({ id }) => this.#subscriptions.get(id) ?? null,
        delete: ({ id }) => {
          this.#subscriptions.delete(id)
          return new Response(null, { status: 204 })
        },
      },
    ]
  }

  #create(body: Body): Response {
    const { Destination, Protocol, EventTypes = ['Alert'], Context = '', HttpHeaders: _, ...rest } = body
    const [unknown] = Object.keys(rest)
    if (unknown !== undefined) throw new RedfishError('PropertyUnknown', unknown)
    if (typeof Destination !== 'string' || !URL.canParse(Destination)) {
      throw new RedfishError('PropertyValueTypeError', JSON.stringify(Destination ?? null), 'Destination', 'a URL')
    }
    if (Protocol !== 'Redfish') throw new RedfishError('PropertyValueNotInList', `${Protocol}`, 'Protocol', 'Redfish')
    const id = `${++this.#made}`
    const made = resource(`${SUBSCRIPTIONS}/${id}`, 'EventDestination.v1_14_0.EventDestination', `Subscription ${id}`, {
      Destination,
      Protocol,
      EventTypes,
      Context,
    })
    this.#subscriptions.set(id, made)
    return json(201, made, { Location: `${SUBSCRIPTIONS}/${id}` })
  }
}
