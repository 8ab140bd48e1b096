/**
 * The URL of a message bus as oslo.messaging writes it: several hosts, each with its user, separated by commas, and a
 * virtual host. Opens nothing. A message about a URL never repeats it, because a password stands in it.
 *
 * Source: oslo.messaging, "TransportURL"; RabbitMQ driver (its defaults)
 */
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
}

const known = ['rabbit', 'kombu']
const usualPort = 5672
const guest = 'guest'

/** `rabbit://USER:PASSWORD@HOST:PORT,USER:PASSWORD@HOST:PORT/VIRTUAL_HOST`. @throws InvalidInput */
export function readTransportUrl(text: string): TransportUrl {
  const [, scheme = '', places = '', path = ''] = /^([a-z+]+):\/\/([^/?]*)(?:\/([^?]*))?(?:\?.*)?$/i.exec(text) ?? []
  if (!known.includes(scheme)) {
    throw new InvalidInput(
      `Cannot reach the message bus: its URL begins with "${scheme}://"; expected rabbit://USER:PASSWORD@HOST:PORT/VHOST`,
    )
  }
  return { hosts: places.split(',').map(hostOf), virtualHost: path === '' ? '/' : decoded(path) }
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
