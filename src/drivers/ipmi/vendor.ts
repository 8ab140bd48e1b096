/**
 * What only this hardware type has: raw commands to the BMC and its restart. The raw command is also a step, which
 * `[api] disallow_*_steps` forbids unless an operator says otherwise.
 *
 * Source: drivers, "IPMI", vendor passthru (ironic/drivers/modules/ipmitool.py restated).
 */
import { InvalidInput } from '#lib/fault.ts'
import { isTrue } from '#lib/truth.ts'
import type { NodeContext, VendorInterface, VendorMethod } from '../driver.ts'
import type { Step } from '../step.ts'
import { clientOf } from './clients.ts'
import { resetBmc } from './device.ts'
import { validateDriverInfo } from './driver-info.ts'

const rawStep: Step = {
  interface: 'vendor',
  step: 'send_raw',
  priority: 0,
  kinds: ['clean', 'deploy', 'service'],
  abortable: false,
  requires_ramdisk: false,
  argsinfo: {
    raw_bytes: { description: 'Network function, command and data, as in "0x06 0x01".', required: true },
  },
  async run(ctx, { raw_bytes }) {
    await ctx.flow.once('send raw bytes', async () => {
      await sendRaw(await ctx.fresh(), raw_bytes)
    })
  },
}

const send_raw: VendorMethod = {
  http_methods: ['POST'],
  description: 'Send raw bytes to the BMC. Required argument: raw_bytes, such as "0x06 0x01".',
  async: true,
  require_exclusive_lock: true,
  async run(ctx, { raw_bytes }) {
    const answer = await sendRaw(ctx, raw_bytes)
    ctx.log.info({ node: ctx.node.uuid, raw_bytes, answer: answer.toString('hex') }, 'raw bytes were sent to the BMC')
  },
}

const bmc_reset: VendorMethod = {
  http_methods: ['POST'],
  description: 'Restart the BMC. Argument: warm, true (default) or false for a cold reset.',
  async: true,
  require_exclusive_lock: true,
  async run(ctx, { warm = true }) {
    const isWarm = isTrue(warm)
    if (isWarm === undefined) {
      throw new InvalidInput(`Cannot restart the BMC: warm is ${JSON.stringify(warm)}, expected true or false`)
    }
    await resetBmc(clientOf(ctx), isWarm ? 'warm' : 'cold', ctx.signal)
  },
}

const vendor: VendorInterface = { validate: validateDriverInfo, steps: [rawStep], methods: { send_raw, bmc_reset } }

export default vendor

/**
 * Sends a command as it is, and hands back what the BMC answered after the completion code.
 * @param raw bytes as ipmitool takes them: decimal or 0x…, parted by blanks
 * @throws InvalidInput for what is no bytes
 */
export async function sendRaw(ctx: NodeContext, raw: unknown): Promise<Buffer> {
  const [netFn, command, ...data] = bytesOf(raw)
  if (netFn === undefined || command === undefined) throw invalid(raw)
  const what = `raw command ${[netFn, command].map(byte => `0x${byte.toString(16).padStart(2, '0')}`).join(' ')}`
  return clientOf(ctx).ask({ netFn, command, data, what }, ctx.signal)
}

/** No BMC takes more in one message. */
const mostBytes = 230

function bytesOf(raw: unknown): number[] {
  if (typeof raw !== 'string') throw invalid(raw)
  const words = raw.trim().split(/[\s,]+/)
  const bytes = words.map(word => (/^(0x[0-9a-f]{1,2}|\d{1,3})$/i.test(word) ? Number(word) : Number.NaN))
  const [netFn = 0xff] = bytes
  // Odd functions are for answers.
  if (bytes.length > mostBytes || netFn > 0x3f || netFn % 2 !== 0 || !bytes.every(byte => byte <= 0xff))
    throw invalid(raw)
  return bytes
}

function invalid(raw: unknown): InvalidInput {
  const shown = typeof raw === 'string' ? JSON.stringify(raw.slice(0, 80)) : `a ${typeof raw}`
  return new InvalidInput(
    `Cannot send raw_bytes ${shown}: expected network function (even, up to 0x3e), command and data as bytes, such as "0x06 0x01"`,
  )
}
