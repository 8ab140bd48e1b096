/**
 * An operator of one node, of whichever service: gives it an order and waits until it is done. Of the API it uses what
 * any Ironic has.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Api } from '#cli/client.ts'

export type Node = Readonly<Record<string, unknown>>

/** A boot of a ramdisk without KVM, and the work in it, on a host that does three other things. */
const orderLimitMs = 600_000

export class Operator {
  readonly #api: Api
  readonly uuid: string

  private constructor(api: Api, uuid: string) {
    this.#api = api
    this.uuid = uuid
  }

  /** Enrols a node with one port. */
  static async enrol(api: Api, node: Readonly<Record<string, unknown>>, mac: string | undefined): Promise<Operator> {
    const created = await api.create('/v1/nodes', node)
    const uuid = String(created.uuid)
    await api.create('/v1/ports', { node_uuid: uuid, address: mac })
    return new Operator(api, uuid)
  }

  node(): Promise<Node> {
    return this.#api.get(`/v1/nodes/${this.uuid}`)
  }

  async change(path: string, value: unknown): Promise<void> {
    await this.#api.patch(`/v1/nodes/${this.uuid}`, [{ op: 'add', path, value }])
  }

  /** Gives the order and waits for the state. @returns the node, and the seconds that it took */
  async bring(target: string, state: string, more: object = {}): Promise<{ node: Node; seconds: number }> {
    const began = performance.now()
    const before = await this.node()
    await this.#api.put(`/v1/nodes/${this.uuid}/states/provision`, { target, ...more })
    const seen = [String(before.provision_state)]
    for (;;) {
      const node = await this.node()
      const now = String(node.provision_state)
      if (now !== seen.at(-1)) seen.push(now)
      const isUnderWay = node.target_provision_state !== null && !now.endsWith(' failed')
      // Before the order is taken up the node rests where it was.
      const isBegun = seen.length > 1 || isUnderWay || node.last_error !== null
      if (isBegun && !isUnderWay && node.reservation === null) {
        assert.equal(now, state, `the order "${target}" ended there, by way of ${seen.join(', ')}: ${node.last_error}`)
        assert.equal(node.last_error, null)
        return { node, seconds: Math.round((performance.now() - began) / 1000) }
      }
      const told = `by way of ${seen.join(', ')}; last_error ${node.last_error}`
      assert.ok(performance.now() - began < orderLimitMs, `the order "${target}" takes too long, ${told}`)
      await sleep(500)
    }
  }
}
