/**
 * A hardware type of somebody else's, as docs/adding-a-driver.md describes it: machines behind a plug that is switched
 * over HTTP. `GET URL` answers `{"on": true}`, and `PUT URL` takes the same.
 *
 *     [DEFAULT]
 *     enabled_hardware_types = http-plug
 *     [ferrite]
 *     hardware_type_modules = /etc/ferrite/http-plug.ts
 */
import type { PowerInterface } from '../../src/drivers/bmc-interfaces.ts'
import type { HardwareType, NodeContext } from '../../src/drivers/driver.ts'
import type { DriverKit } from '../../src/drivers/outside.ts'

export default function httpPlug({ generic, faults, settings }: DriverKit): HardwareType {
  const urlOf = ({ node }: NodeContext) =>
    settings.readSettings(`Cannot use driver_info of node ${node.uuid} for http-plug`, ({ attempt, problem }) => {
      const text = attempt(() => settings.textOf(node.driver_info, 'plug_url'), null)
      if (text === null || !URL.canParse(text)) problem('plug_url is missing or no URL, expected that of the plug')
      return text ?? ''
    })

  async function ask(ctx: NodeContext, request: RequestInit = {}): Promise<{ on: boolean }> {
    const url = urlOf(ctx)
    const said = (what: string) => new faults.HardwareFault(`Cannot ask the plug at ${url}: ${what}`)
    const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(10_000)])
    const answer = await fetch(url, { ...request, signal }).catch(error => {
      throw said(String(error))
    })
    if (!answer.ok) throw said(`it answered ${answer.status}, expected 200`)
    const body: unknown = await answer.json().catch(() => null)
    const on = typeof body === 'object' && body !== null && 'on' in body ? body.on : undefined
    if (typeof on !== 'boolean') throw said('its answer does not say whether it is on')
    return { on }
  }

  const power: PowerInterface = {
    supported: ['power on', 'power off', 'rebooting'],
    validate: async ctx => void urlOf(ctx),
    get: async ctx => ((await ask(ctx)).on ? 'power on' : 'power off'),
    async set(ctx, target) {
      const put = async (on: boolean) => {
        await ask(ctx, { method: 'PUT', body: JSON.stringify({ on }), headers: { 'content-type': 'application/json' } })
      }
      if (target === 'reset') await put(false)
      await put(target === 'power on' || target === 'reset')
    },
  }

  return {
    name: 'http-plug',
    driverInfo: { plug_url: { description: 'URL of the plug.', required: true } },
    interfaces: { ...generic, power: { 'http-plug': async () => ({ default: power }) } },
  }
}
