/**
 * The BMCs of a fleet behind one HTTPS port, each below a path of its own: `redfish_address` may carry one, and ten
 * thousand listeners would use up the ports of the loopback. Each BMC is the lab's whole Redfish service; here its
 * links get the prefix, and its answers the delays and failures of the fleet.
 */
import type { Hardware } from '#lab/redfish/hardware.ts'
import { RedfishServer } from '#lab/redfish/server.ts'
import { type RedfishService, redfishService } from '#lab/redfish/service.ts'
import type { Account } from '#lab/redfish/sessions.ts'
import type { Clock } from '#lib/clock.ts'
import { selfSigned } from '#lib/x509.ts'
import type { Chance } from './chance.ts'
import type { Settings } from './settings.ts'

/** How to reach one BMC. */
export interface BmcAccess extends Account {
  /** URL of its service root. */
  url: string
}

interface Bmc {
  service: RedfishService
  chance: Chance
}

const root = '/redfish/v1'

export class Rack {
  /** Of the certificate that all of them present. */
  readonly certPem: string
  readonly #bmcs = new Map<string, Bmc>()
  readonly #settings: Settings
  readonly #clock: Clock
  readonly #address: string
  readonly #server: RedfishServer

  private constructor(settings: Settings, clock: Clock, address: string) {
    this.#settings = settings
    this.#clock = clock
    this.#address = address
    const notBefore = new Date(clock.now() - 3600_000)
    const notAfter = new Date(clock.now() + 3650 * 86_400_000)
    const certificate = selfSigned({
      commonName: 'simulated BMC',
      ipAddresses: [address],
      notBefore,
      notAfter,
      // Thousands of BMCs shake hands on this host: the faster curve.
      curve: 'p256',
    })
    this.certPem = certificate.certPem
    const service: RedfishService = request => this.#serve(request)
    this.#server = new RedfishServer({ service, ...certificate, address, port: 0, accessLog: null })
  }

  /** @param address that it listens on */
  static async open(settings: Settings, clock: Clock, address: string): Promise<Rack> {
    const rack = new Rack(settings, clock, address)
    await rack.#server.open()
    return rack
  }

  /** Puts a BMC in front of a machine. @param name stands in its URL */
  add(name: string, hardware: Hardware, chance: Chance): BmcAccess {
    const account = { username: 'admin', password: chance.hex(16) }
    const service = redfishService({ hardware, account, now: () => this.#clock.now() })
    this.#bmcs.set(name, { service, chance })
    return { ...account, url: `https://${this.#address}:${this.#server.port}/bmc/${name}${root}/` }
  }

  close(): Promise<void> {
    return this.#server.end()
  }

  async #serve(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const [, name = '', rest = ''] = /^\/bmc\/([^/]+)(\/.*)$/.exec(url.pathname) ?? []
    const bmc = this.#bmcs.get(name)
    if (bmc === undefined) return new Response('No BMC has this address', { status: 404 })

    const { delayMs, rate } = this.#settings
    await this.#clock.sleep(bmc.chance.within(delayMs.bmcAnswer))
    if (bmc.chance.happens(rate.bmcBusy)) return new Response(null, { status: 503, headers: { 'Retry-After': '1' } })
    // Before or after the work is done: the caller cannot tell, and must not have to.
    const breaks = bmc.chance.happens(rate.bmcSilent)
    if (breaks && bmc.chance.happens(0.5)) throw new Error('the connection breaks before the request is read')
    url.pathname = rest
    const answer = await bmc.service(new Request(url, request))
    if (breaks) throw new Error('the connection breaks before the answer is sent')
    return prefixed(answer, `/bmc/${name}`)
  }
}

/** The answer with the prefix before every path of Redfish in it. */
async function prefixed(answer: Response, prefix: string): Promise<Response> {
  const headers = new Headers(answer.headers)
  const location = headers.get('location')
  if (location?.startsWith(root)) headers.set('location', prefix + location)
  if (answer.body === null) return new Response(null, { status: answer.status, headers })
  const body = (await answer.text()).replaceAll(`"${root}`, `"${prefix}${root}`)
  return new Response(body, { status: answer.status, headers })
}
