/**
 * The endpoints of the service that ramdisks call: lookup, heartbeat, inspection data. Each call is one request; what
 * the answer means for the agent is the agent's business.
 *
 * Source: openstack/ironic-python-agent `ironic_api_client.py`, `inspector.py` (versions, statuses).
 */
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { Fault } from '#lib/fault.ts'
import {
  type CommandHeader,
  commandHeader,
  type HeartbeatBody,
  InspectionAnswer,
  type InspectionData,
  LookupAnswer,
} from '#protocol/agent.ts'
import type { Answer, Call, Network } from './network.ts'

/** The service answered, and refused. */
export class ApiRefused extends Fault {
  readonly status: number
  readonly code = 'api-refused'

  constructor(what: string, answer: Answer) {
    super(`${what}: the API answered ${answer.status}: ${answer.text.slice(0, 300)}`)
    this.status = answer.status
  }
}

const rootDocument = Compile(Type.Object({ default_version: Type.Object({ version: Type.String() }) }))
const lookupAnswer = Compile(LookupAnswer)
const inspectionAnswer = Compile(InspectionAnswer)

export class RamdiskApi {
  readonly #network: Network
  /** The newest version of each service, asked once for the whole fleet. */
  readonly #versions = new Map<string, Promise<string>>()

  constructor(network: Network) {
    this.#network = network
  }

  /** @throws ApiRefused, or what the connection failed with */
  async lookup(base: string, macs: readonly string[], signal: AbortSignal): Promise<LookupAnswer> {
    const url = `${base}/v1/lookup?addresses=${macs.join(',')}`
    const answer = await this.#call(base, '1.62', { method: 'GET', url, signal })
    const body: unknown = answer.status === 200 ? JSON.parse(answer.text) : null
    if (!lookupAnswer.Check(body)) throw new ApiRefused('Lookup', answer)
    return body
  }

  /** Anything but 202 is a refusal. @throws as above */
  async heartbeat(
    base: string,
    nodeUuid: string,
    beat: { body: HeartbeatBody; command: CommandHeader },
    signal: AbortSignal,
  ): Promise<void> {
    const url = `${base}/v1/heartbeat/${nodeUuid}`
    const told = { [commandHeader]: beat.command }
    const answer = await this.#call(base, '1.68', { method: 'POST', url, json: beat.body, headers: told, signal })
    if (answer.status !== 202) throw new ApiRefused('Heartbeat', answer)
  }

  /** Returns the node's UUID where the receiver names it. @throws as above */
  async inspected(url: string, data: InspectionData, signal: AbortSignal): Promise<string | null> {
    const answer = await this.#network.call({ method: 'POST', url, json: data, signal })
    if (answer.status < 200 || answer.status > 299) throw new ApiRefused('Inspection', answer)
    const body: unknown = answer.text === '' ? null : JSON.parse(answer.text)
    return inspectionAnswer.Check(body) ? body.uuid : null
  }

  async #call(base: string, wanted: string, call: Call): Promise<Answer> {
    const asked = this.#versions.get(base) ?? this.#askVersion(base, call.signal)
    this.#versions.set(base, asked)
    const served = await asked.catch(error => {
      this.#versions.delete(base)
      throw error
    })
    const headers = {
      ...call.headers,
      accept: 'application/json',
      'x-openstack-ironic-api-version': older(served, wanted),
    }
    return await this.#network.call({ ...call, headers })
  }

  async #askVersion(base: string, signal: AbortSignal): Promise<string> {
    const answer = await this.#network.call({ method: 'GET', url: `${base}/`, signal })
    const body: unknown = answer.status === 200 ? JSON.parse(answer.text) : null
    if (!rootDocument.Check(body)) throw new ApiRefused('Root document', answer)
    return body.default_version.version
  }
}

function older(a: string, b: string): string {
  const minor = (version: string) => Number(version.split('.')[1])
  return minor(a) < minor(b) ? a : b
}
