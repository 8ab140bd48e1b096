/**
 * What only this hardware type has: subscriptions to a BMC's events, and taking virtual media out by the name of their
 * kind. Names, arguments and defaults are Ironic's.
 *
 * Source: drivers facts, "Redfish", vendor passthru (ironic/drivers/modules/redfish/vendor.py restated); DMTF DSP2046,
 * EventService, EventDestination.
 */
import { Type } from 'typebox'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import type { MediaDevice } from '#protocol/management.ts'
import { type NodeContext, Unsupported, type VendorInterface, type VendorMethod } from '../driver.ts'
import { textIn } from '../inspection/hook.ts'
import { type RedfishClient, Reference, reader } from './client.ts'
import { validateDriverInfo } from './driver-info.ts'
import { BmcRefused } from './faults.ts'
import { anyResource } from './inspect-resource.ts'
import { Maybe } from './maybe.ts'
import { ejectMedia } from './media-insert.ts'
import { readSystem } from './system.ts'

const devices: Readonly<Record<string, MediaDevice>> = { cd: 'cdrom', dvd: 'cdrom', usb: 'disk', floppy: 'floppy' }

const eject_vmedia: VendorMethod = {
  http_methods: ['POST'],
  description: 'Take virtual media out. Argument: boot_device (cd, dvd, usb or floppy). Without it: all.',
  async: true,
  require_exclusive_lock: true,
  async run(ctx, { boot_device: given }) {
    if (given === undefined || given === null || given === '') return ejectMedia(ctx, null)
    const device = Object.hasOwn(devices, String(given)) ? devices[String(given)] : undefined
    if (!device) {
      const known = Object.keys(devices).join(', ')
      throw new InvalidInput(
        `Cannot eject virtual media: boot_device is ${JSON.stringify(given)}, expected one of ${known}`,
      )
    }
    await ejectMedia(ctx, [device])
  },
}

const create_subscription: VendorMethod = {
  http_methods: ['POST'],
  description: 'Subscribe to events of the BMC. Required argument: Destination, a URL.',
  async: false,
  require_exclusive_lock: true,
  async run(ctx, args) {
    const { client, subscriptions, eventTypes } = await eventService(ctx)
    const body = subscriptionOf(args, eventTypes)
    const answer = await client.post(subscriptions, body, ctx.signal)
    const own = (answer.body ?? {}) as Record<string, unknown> // shown below, one by one
    const { location } = answer.headers
    const path = typeof location === 'string' ? URL.parse(location, client.origin)?.pathname : undefined
    // Many answer with nothing but where it is.
    const made = textIn(own.Id)
      ? own
      : path
        ? (await client.get(path, anyResource, { signal: ctx.signal })).resource
        : own
    return shown(made)
  },
}

const delete_subscription: VendorMethod = {
  http_methods: ['DELETE'],
  description: 'End a subscription. Required argument: id, as the BMC has it.',
  async: false,
  require_exclusive_lock: true,
  async run(ctx, args) {
    const { client, subscriptions } = await eventService(ctx)
    const path = pathOf(subscriptions, args)
    await known(client, path, () => client.delete(path, ctx.signal))
    return null
  },
}

const get_all_subscriptions: VendorMethod = {
  http_methods: ['GET'],
  description: 'All subscriptions to events of the BMC.',
  async: false,
  require_exclusive_lock: false,
  async run(ctx) {
    const { client, subscriptions } = await eventService(ctx)
    return (await client.get(subscriptions, anyResource, { signal: ctx.signal, fresh: true })).resource
  },
}

const get_subscription: VendorMethod = {
  http_methods: ['GET'],
  description: 'One subscription. Required argument: id, as the BMC has it.',
  async: false,
  require_exclusive_lock: false,
  async run(ctx, args) {
    const { client, subscriptions } = await eventService(ctx)
    const path = pathOf(subscriptions, args)
    return shown(
      (await known(client, path, () => client.get(path, anyResource, { signal: ctx.signal, fresh: true }))).resource,
    )
  },
}

export default {
  validate: validateDriverInfo,
  methods: { eject_vmedia, create_subscription, delete_subscription, get_all_subscriptions, get_subscription },
} satisfies VendorInterface

const serviceReader = reader(
  'event service',
  Type.Object({ Subscriptions: Maybe(Reference), EventTypesForSubscription: Maybe(Type.Array(Type.String())) }),
)

async function eventService(ctx: NodeContext) {
  const { client } = await readSystem(ctx)
  const path = (await client.root(ctx.signal)).EventService?.['@odata.id']
  const service = path && (await client.get(path, serviceReader, { signal: ctx.signal })).resource
  const subscriptions = service ? service.Subscriptions?.['@odata.id'] : undefined
  if (!service || subscriptions === undefined) {
    throw new Unsupported(`Cannot subscribe to events of the BMC at ${client.origin}: it has no event service`)
  }
  return { client, subscriptions, eventTypes: service.EventTypesForSubscription ?? [] }
}

function subscriptionOf(args: Readonly<Record<string, unknown>>, known: readonly string[]): Record<string, unknown> {
  const { Destination, Protocol = 'Redfish', Context = '', EventTypes = ['Alert'], HttpHeaders } = args
  const wrong = (name: string, expected: string) =>
    new InvalidInput(`Cannot subscribe: ${name} is ${JSON.stringify(args[name] ?? null)}, expected ${expected}`)
  if (typeof Destination !== 'string' || !URL.parse(Destination)?.host) throw wrong('Destination', 'a URL')
  if (typeof Protocol !== 'string') throw wrong('Protocol', 'a text')
  if (typeof Context !== 'string') throw wrong('Context', 'a text')
  const isList = Array.isArray(EventTypes) && EventTypes.every(type => typeof type === 'string')
  const isOffered =
    isList && (known.length === 0 || args.EventTypes === undefined || EventTypes.every(type => known.includes(type)))
  if (!isOffered) throw wrong('EventTypes', `a list of ${known.join(', ') || 'texts'}`)
  // They may hold a password, so that they are not repeated.
  if (HttpHeaders !== undefined && !Array.isArray(HttpHeaders))
    throw new InvalidInput('Cannot subscribe: HttpHeaders is no list')
  const headers = Array.isArray(HttpHeaders) && HttpHeaders.length > 0 ? { HttpHeaders } : {}
  return { Destination, Protocol, Context, EventTypes, ...headers }
}

function pathOf(subscriptions: string, { id }: Readonly<Record<string, unknown>>): string {
  if (typeof id === 'string' && /^[\w.~:-]+$/.test(id) && !/^\.+$/.test(id))
    return `${subscriptions.replace(/\/$/, '')}/${id}`
  throw new InvalidInput(`Cannot find a subscription: id is ${JSON.stringify(id ?? null)}, expected that of one`)
}

async function known<T>(client: RedfishClient, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof BmcRefused) || error.httpStatus !== 404) throw error
    throw new NotFound(`The BMC at ${client.origin} has no subscription ${path.split('/').pop()}`)
  }
}

const shownFields = ['Id', 'Context', 'Protocol', 'Destination', 'EventTypes']

function shown(subscription: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(subscription).filter(([name]) => shownFields.includes(name)))
}
