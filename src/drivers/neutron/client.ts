/**
 * What is asked of Neutron: networks by name, and ports made, found, bound and removed. It keeps nothing and decides
 * nothing; what is gone already counts as removed.
 *
 * Source: Networking API v2.0, "Networks", "Ports", extension "Port binding".
 */
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { type OpenstackService, openstackService } from '#images/openstack.ts'
import { Fault, InvalidInput } from '#lib/fault.ts'
import type { NodeContext, VifNetwork } from '../driver.ts'

/** Neutron refused, or answered what makes no sense. */
export class NeutronRefused extends Fault {
  readonly status = 500
  readonly code = 'neutron-refused'
}

const NeutronPort = Type.Object({
  id: Type.String(),
  network_id: Type.String(),
  mac_address: Type.String(),
  'binding:vif_type': Type.Optional(Type.Union([Type.String(), Type.Null()])),
  extra_dhcp_opts: Type.Optional(
    Type.Array(
      Type.Object({
        opt_name: Type.String(),
        opt_value: Type.Union([Type.String(), Type.Null()]),
        ip_version: Type.Optional(Type.Integer()),
      }),
    ),
  ),
})
export type NeutronPort = Static<typeof NeutronPort>

const Text = Type.Optional(Type.Union([Type.String(), Type.Null()]))
const Network = Type.Object({
  id: Type.String(),
  name: Text,
  tags: Type.Optional(Type.Array(Type.String())),
  'provider:physical_network': Text,
  /** Of networks with several. */
  segments: Type.Optional(Type.Array(Type.Object({ 'provider:physical_network': Text }))),
})
const onePort = Compile(Type.Object({ port: NeutronPort }))
const manyPorts = Compile(Type.Object({ ports: Type.Array(NeutronPort) }))
const manyNetworks = Compile(Type.Object({ networks: Type.Array(Network) }))
const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i

export type Neutron = ReturnType<typeof neutronOf>

export function neutronOf(ctx: Pick<NodeContext, 'config' | 'shared' | 'signal'>) {
  const service: OpenstackService = openstackService(ctx, 'neutron')

  async function ask(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object) {
    const url = `${await service.endpoint()}/v2.0/${path}`
    const content = body && {
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(body)),
    }
    return service.ask(method, url, ctx.signal, content)
  }

  function checked<T>(what: string, answer: { status: number; body: unknown }, check: (body: unknown) => body is T): T {
    if (answer.status < 300 && check(answer.body)) return answer.body
    throw new NeutronRefused(`Cannot ${what}: Neutron answered ${answer.status}${saidIn(answer.body)}`)
  }

  return {
    /** @throws InvalidInput unless there is exactly one of that UUID or name */
    async networkId(nameOrId: string, from: string): Promise<string> {
      const query = `${uuid.test(nameOrId) ? 'id' : 'name'}=${encodeURIComponent(nameOrId)}&fields=id`
      const what = `find the network ${nameOrId}`
      const { networks } = checked(what, await ask('GET', `networks?${query}`), body => manyNetworks.Check(body))
      const [network, ...others] = networks
      if (network && others.length === 0) return network.id
      const found = networks.length === 0 ? 'none' : networks.length
      throw new InvalidInput(`Cannot ${what} of ${from}: Neutron has ${found} of that name, expected one`)
    },

    /** What network a port is in; null when there is no such port. */
    async networkOfPort(id: string): Promise<VifNetwork | null> {
      const ports = await ask('GET', `ports?id=${encodeURIComponent(id)}`)
      const [port] = checked(`find the port ${id}`, ports, body => manyPorts.Check(body)).ports
      if (!port) return null
      const what = `find the network ${port.network_id}`
      const answer = await ask('GET', `networks?id=${encodeURIComponent(port.network_id)}`)
      const [network] = checked(what, answer, body => manyNetworks.Check(body)).networks
      if (!network) throw new NeutronRefused(`Cannot ${what} of the port ${id}: Neutron has none of that UUID`)
      const { name = null, tags = [], segments = [] } = network
      const physical = [network, ...segments].map(part => part['provider:physical_network'] ?? '')
      return { name, tags, physical_networks: [...new Set(physical)].filter(one => one !== '') }
    },

    async portsWith(network: string, macs: readonly string[]): Promise<readonly NeutronPort[]> {
      if (macs.length === 0) return []
      const query = [`network_id=${network}`, ...macs.map(mac => `mac_address=${encodeURIComponent(mac)}`)].join('&')
      return checked('list ports', await ask('GET', `ports?${query}`), body => manyPorts.Check(body)).ports
    },

    /** In any network. */
    async portsOf(macs: readonly string[]): Promise<readonly NeutronPort[]> {
      const query = macs.map(mac => `mac_address=${encodeURIComponent(mac)}`).join('&')
      return checked('list ports', await ask('GET', `ports?${query}`), body => manyPorts.Check(body)).ports
    },

    async createPort(port: Record<string, unknown>): Promise<NeutronPort> {
      const what = `make a port for ${port.mac_address}`
      return checked(what, await ask('POST', 'ports', { port }), body => onePort.Check(body)).port
    },

    /** @returns null when there is no such port */
    async updatePort(id: string, port: Record<string, unknown>): Promise<NeutronPort | null> {
      const answer = await ask('PUT', `ports/${encodeURIComponent(id)}`, { port })
      if (answer.status === 404) return null
      return checked(`change the port ${id}`, answer, body => onePort.Check(body)).port
    },

    async deletePort(id: string): Promise<void> {
      const answer = await ask('DELETE', `ports/${encodeURIComponent(id)}`)
      if (answer.status === 404) return
      checked(`remove the port ${id}`, answer, (_): _ is unknown => true)
    },
  }
}

function saidIn(body: unknown): string {
  const said = Compile(Type.Object({ NeutronError: Type.Object({ message: Type.String() }) }))
  return said.Check(body) ? `: ${body.NeutronError.message}` : ''
}
