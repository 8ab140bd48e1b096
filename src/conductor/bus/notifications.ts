/**
 * Ironic's notifications on a message bus, as an operator of Ironic sets them up: topics, level, envelope. The log of events
 * is their queue, so no work waits for the bus; what it could not take for too long is given up, and counted.
 *
 * Source: Ironic, "Notifications" of the administrator's guide; oslo.messaging, messaging drivers (envelope 2.0)
 */
import type { Config } from '#config/options.ts'
import { deliverEvents, type SinkWorld } from '../event-sink.ts'
import { notificationsSent } from '../measured.ts'
import { type Notification, notificationsOf } from '../notification.ts'
import { Bus, type BusMessage, type BusSettings } from './bus.ts'
import { readTransportUrl } from './transport-url.ts'

type Settings = Pick<Config, 'DEFAULT' | 'oslo_messaging_notifications' | 'oslo_messaging_rabbit'>

/** In their order. Source: ironic/objects/notification.py */
const levels = ['debug', 'info', 'warning', 'error', 'critical']
/** Drivers that send by the bus: the older one without an envelope. */
const drivers = ['messaging', 'messagingv2']
/** A day of a large fleet. Whoever was away for longer reads the log by the API. */
const mostBehind = 100_000

/** Does the configuration ask for notifications by a message bus? */
export function sendsNotifications({ DEFAULT, oslo_messaging_notifications: { driver } }: Settings): boolean {
  return DEFAULT.notification_level !== null && driver.some(one => drivers.includes(one))
}

export class Notifications {
  readonly #world: SinkWorld
  readonly #config: Settings
  readonly #bus: Bus
  readonly #place: string

  /** @throws InvalidInput for a URL of the bus that cannot be read */
  constructor(world: SinkWorld & { config: Settings }) {
    this.#world = world
    this.#config = world.config
    const settings = settingsOf(world.config)
    this.#place = settings.url.hosts.map(({ hostname, port }) => `${hostname}:${port}`).join(', ')
    this.#bus = new Bus(settings)
  }

  /** Sends what is due; returns when there is nothing more, or the bus did not take it. */
  async round(signal: AbortSignal): Promise<void> {
    const sink = { name: 'notifications', place: this.#place, mostBehind }
    await deliverEvents(
      this.#world,
      {
        ...sink,
        deliver: async events => {
          const messages = this.#messagesOf(await notificationsOf(this.#world.db, events))
          if (messages.length === 0) return
          await this.#bus.send(messages, signal).catch(error => {
            notificationsSent.tell({ outcome: 'refused', count: messages.length })
            throw error
          })
          notificationsSent.tell({ outcome: 'sent', count: messages.length })
        },
        givenUp: count => notificationsSent.tell({ outcome: 'given up', count }),
      },
      signal,
    )
  }

  close(): Promise<void> {
    return this.#bus.close()
  }

  #messagesOf(notifications: readonly Notification[]): BusMessage[] {
    const { notification_level: level, versioned_notifications_topics: topics } = this.#config.DEFAULT
    const { driver } = this.#config.oslo_messaging_notifications
    const least = levels.indexOf(level ?? '')
    const wanted = notifications.filter(({ priority }) => levels.indexOf(priority.toLowerCase()) >= least)
    return wanted.flatMap(one =>
      topics.flatMap(topic =>
        drivers
          .filter(name => driver.includes(name))
          .map(name => ({
            routingKey: `${topic}.${one.priority.toLowerCase()}`,
            content: Buffer.from(JSON.stringify(name === 'messaging' ? identified(one) : enveloped(one))),
          })),
      ),
    )
  }
}

/** With the id by which receivers drop what comes twice. */
function identified(notification: Notification): Notification {
  return { ...notification, _unique_id: String(notification.message_id).replaceAll('-', '') }
}

/** The message as text within a message. */
function enveloped(notification: Notification): Record<string, string> {
  return { 'oslo.version': '2.0', 'oslo.message': JSON.stringify(identified(notification)) }
}

function settingsOf({ DEFAULT, oslo_messaging_notifications, oslo_messaging_rabbit }: Settings): BusSettings {
  const url = readTransportUrl(oslo_messaging_notifications.transport_url ?? DEFAULT.transport_url)
  const rabbit = { ...oslo_messaging_rabbit, ...url.options }
  const { ssl_ca_file: ca, ssl_cert_file: cert, ssl_key_file: key } = rabbit
  return {
    url,
    exchange: DEFAULT.control_exchange,
    durable: rabbit.amqp_durable_queues,
    autoDelete: rabbit.amqp_auto_delete,
    quorumQueue: rabbit.rabbit_quorum_queue,
    heartbeatS: rabbit.heartbeat_timeout_threshold,
    tls: rabbit.ssl ? { ca, cert, key } : undefined,
  }
}
