/**
 * A Neutron for tests: networks, and ports that are kept, over real HTTP. Nobody is asked who they are. A MAC address is once
 * in a network, and stays while its port is bound.
 *
 * Source: Networking API v2.0, "Ports" (409 MacAddressInUse, PortBound), extension "Port MAC address regenerate".
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type FakePort = Record<string, unknown> & { id: string }

export interface FakeNeutron extends AsyncDisposable {
  readonly url: string
  readonly networks: { id: string; name: string }[]
  readonly ports: Map<string, FakePort>
  /** What bindings come to; 'other' where a switch was found. */
  vifType: string
  /** Answers to every request instead; null: as it should. */
  broken: { status: number; message: string } | null
}

export async function startFakeNeutron(): Promise<FakeNeutron> {
  const server = createServer(async (request, response): Promise<unknown> => {
    const url = new URL(request.url ?? '', 'http://x')
    let text = ''
    for await (const chunk of request) text += chunk
    const answer = (status: number, body?: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(body && JSON.stringify(body))
    if (neutron.broken) {
      const { status, message } = neutron.broken
      return answer(status, { NeutronError: { message } })
    }
    const [, kind, id] = /^\/v2\.0\/(networks|ports)(?:\/(.+))?$/.exec(url.pathname) ?? []
    const fits = (thing: Record<string, unknown>) =>
      [...new Set(url.searchParams.keys())].every(
        key => key === 'fields' || url.searchParams.getAll(key).includes(String(thing[key])),
      )
    if (kind === 'networks') return answer(200, { networks: neutron.networks.filter(fits) })
    const given = text === '' ? {} : JSON.parse(text).port
    const host = given['binding:host_id']
    const bound = host === undefined ? {} : { 'binding:vif_type': host === '' ? 'unbound' : neutron.vifType }
    if (request.method === 'GET') return answer(200, { ports: [...neutron.ports.values()].filter(fits) })
    if (given.mac_address === null)
      given.mac_address = `fa:16:3e:${randomBytes(3).toString('hex').replace(/..\B/g, '$&:')}`
    const inUse = ({ network_id }: Record<string, unknown>) =>
      [...neutron.ports.values()].some(
        port => port.id !== id && port.network_id === network_id && port.mac_address === given.mac_address,
      )
    const refuse = (message: string) => answer(409, { NeutronError: { message } })
    if (request.method === 'POST') {
      if (inUse(given)) return refuse(`MacAddressInUse: ${given.mac_address}`)
      const port = { ...given, ...bound, id: randomUUID() }
      neutron.ports.set(port.id, port)
      return answer(201, { port })
    }
    const known = neutron.ports.get(id ?? '')
    if (!known) return answer(404, { NeutronError: { message: `Port ${id} could not be found.` } })
    if (request.method === 'DELETE') {
      neutron.ports.delete(known.id)
      return answer(204)
    }
    const isBound = !['unbound', 'binding_failed', undefined].includes(known['binding:vif_type'] as string | undefined) // ours
    const moves = given.mac_address !== undefined && given.mac_address !== known.mac_address
    if (moves && isBound) return refuse(`PortBound: ${known.id}`)
    if (moves && inUse(known)) return refuse(`MacAddressInUse: ${given.mac_address}`)
    const port = { ...known, ...given, ...bound }
    neutron.ports.set(port.id, port)
    return answer(200, { port })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const neutron: FakeNeutron = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // it listens on TCP
    networks: [],
    ports: new Map(),
    vifType: 'other',
    broken: null,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return neutron
}
