/** The lab's Redfish service over HTTPS on a port of its own, which can be out of order in the ways that BMCs are. */
import { randomBytes } from 'node:crypto'
import type { Hardware } from '#lab/redfish/hardware.ts'
import { RedfishServer } from '#lab/redfish/server.ts'
import { redfishService } from '#lab/redfish/service.ts'
import type { Account } from '#lab/redfish/sessions.ts'
import { selfSigned } from '#lib/x509.ts'

const address = '127.0.0.1'
const hourMs = 3600_000

/** The certificate of all BMCs. */
export const bmcCertificate = selfSigned({
  commonName: 'BMC of a test',
  ipAddresses: [address],
  notBefore: new Date(Date.now() - hourMs),
  notAfter: new Date(Date.now() + 24 * hourMs),
})

export class Bmc {
  readonly account: Account = { username: 'admin', password: randomBytes(12).toString('hex') }
  /** `busy`: 503 to everything. `silent`: takes requests and never answers. */
  mood: 'well' | 'busy' | 'silent' = 'well'
  /** Answered with 503 since the start. */
  refused = 0
  readonly #server: RedfishServer

  private constructor(hardware: Hardware) {
    const service = redfishService({ hardware, account: this.account, now: Date.now })
    this.#server = new RedfishServer({
      service: async request => {
        if (this.mood === 'silent') return await new Promise<never>(() => {})
        if (this.mood === 'well') return await service(request)
        this.refused += 1
        return new Response(null, { status: 503 })
      },
      ...bmcCertificate,
      address,
      port: 0,
      accessLog: null,
    })
  }

  static async open(hardware: Hardware): Promise<Bmc> {
    const bmc = new Bmc(hardware)
    await bmc.plug()
    return bmc
  }

  get url(): string {
    return `https://${address}:${this.#server.port}`
  }

  plug(): Promise<void> {
    return this.#server.open()
  }

  /** Connections are refused from now on. */
  unplug(): Promise<void> {
    return this.#server.close()
  }
}
