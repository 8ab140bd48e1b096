/**
 * The URL of a message bus as oslo.messaging writes it: several hosts, each with its user, separated by commas, a virtual
 * host, and options that count instead of those of the configuration. Opens nothing. A message about a URL never repeats
 * it, because a password stands in it.
 *
 * Source: oslo.messaging, "TransportURL"; RabbitMQ driver (its defaults); _drivers/common.py (ConfigOptsProxy, restated)
 */
import { didYouMean, type Option, Unfit } from '#config/kinds.ts'
import { type Config, optionGroups } from '#config/options.ts'
import { InvalidInput } from '#lib/fault.ts'

export interface BusHost {
  readonly hostname: string
  readonly port: number
  readonly username: string
  readonly password: string
}

export interface TransportUrl {
  /** In the order in which they are tried. */
  readonly hosts: readonly BusHost[]
  readonly virtualHost: string
  /** Those of [oslo_messaging_rabbit] that stand in it. */
  readonly options: Partial<Config['oslo_messaging_rabbit']>
}

const known = ['rabbit', 'kombu']
const usualPort = 5672
const guest = 'guest'

/** `rabbit://USER:PASSWORD@HOST:PORT,USER:PASSWORD@HOST:PORT/VIRTUAL_HOST?OPTION=VALUE&OPTION=VALUE`. @throws InvalidInput */
export function readTransportUrl(text: string): TransportUrl {
  const [, scheme = '', places = '', path = '', query = ''] =
    /^([a-z+]+):\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/i.exec(text) ?? []
  if (!known.includes(scheme)) {
    throw new InvalidInput(
      `Cannot reach the message bus: its URL begins with "${scheme}://"; expected rabbit://USER:PASSWORD@HOST:PORT/VHOST`,
    )
  }
  return {
    hosts: places.split(',').map(hostOf),
    virtualHost: path === '' ? '/' : decoded(path),
    options: optionsOf(query),
  }
}

function hostOf(text: string): BusHost {
  const at = text.lastIndexOf('@')
  const [username = '', password = ''] = at < 0 ? [] : text.slice(0, at).split(/:(.*)/s)
  const [, bracketed, plain = '', port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(text.slice(at + 1)) ?? []
  const hostname = bracketed ?? plain
  const isWrong = at >= 0 && hostname === ''
  if (isWrong || Number(port ?? usualPort) > 65_535) {
    throw new InvalidInput(
      'Cannot reach the message bus: a host of its URL cannot be read; expected USER:PASSWORD@HOST:PORT',
    )
  }
  return {
    hostname: hostname === '' ? 'localhost' : hostname,
    port: Number(port ?? usualPort),
    username: username === '' ? guest : decoded(username),
    password: username === '' ? guest : decoded(password),
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new InvalidInput('Cannot reach the message bus: its URL has a % that is no code; expected %25')
  }
}

/** What the configuration file could say is understood, and nothing else: an option that is lost may be `ssl`. */
function optionsOf(query: string): TransportUrl['options'] {
  // Hosts stand before it, so that this is the end of a password; no part of one may be told.
  if (query.includes('@')) {
    throw new InvalidInput(
      'Cannot reach the message bus: its URL has a ? before an @; expected %3F for a ? in a password, %40 for an @ in an option',
    )
  }
  const group: Readonly<Record<string, Option>> = optionGroups.oslo_messaging_rabbit ?? {}
  const given = new URLSearchParams(query)
  const options = [...new Set(given.keys())].map(name => {
    const option = Object.hasOwn(group, name) ? group[name] : undefined
    if (!option) {
      const near = didYouMean(name, Object.keys(group))
      throw new InvalidInput(
        `Cannot reach the message bus: its URL has the option ${JSON.stringify(name)}, expected one of [oslo_messaging_rabbit]${near}`,
      )
    }
    return [name, parsed(name, option, given.getAll(name).join(','))] as const
  })
  return Object.fromEntries(options) // each by the declaration that the configuration's type comes from
}

function parsed(name: string, option: Option, text: string): unknown {
  try {
    return option.parse(text)
  } catch (error) {
    if (!(error instanceof Unfit)) throw error
    throw new InvalidInput(
      `Cannot reach the message bus: its URL has the option ${name} with ${JSON.stringify(text)}; ${error.message}`,
      { cause: error },
    )
  }
}
