/** How a node wants its images to get to its BMC, by its driver_info: way, method, and what a BMC is told of an image. */
import { type MediaTransport, mediaTransports, shareLogin } from '#boot/media-places.ts'
import type { NodeContext } from '../driver.ts'
import { oneOf, textOf } from '../settings.ts'

/** An image as BMCs are told of it. */
export interface Image {
  /** Without a user in it; for `PUSH` a file URL of this host. */
  url: string
  /** TransferProtocolType, where an operator names one, or `PUSH`; null: only if the BMC asks for it. */
  protocol: string | null
  /** TransferMethod; null, absent: only if the BMC asks for it. */
  method?: string | null
  /** With which the BMC gets it where it is. */
  login?: { username: string; password: string }
}

/** @throws InvalidInput for settings that make no sense */
export function imageOf(ctx: NodeContext, url: string): Image {
  const login = shareLogin(ctx.config, url)
  return { url, protocol: protocolOf(ctx), method: methodOf(ctx), ...(login && { login }) }
}

/** @throws InvalidInput for a protocol that is none of ours */
function protocolOf({ node }: NodeContext): MediaTransport | null {
  const given = textOf(node.driver_info, 'vmedia_transport_protocol')
  return oneOf({ vmedia_transport_protocol: given?.toUpperCase() }, 'vmedia_transport_protocol', mediaTransports)
}

/** @throws InvalidInput */
export const transportOf = (ctx: NodeContext): MediaTransport => protocolOf(ctx) ?? 'HTTP'

/** TransferMethod; null: the BMC's choice. @throws InvalidInput */
export const methodOf = ({ node }: NodeContext) =>
  oneOf(node.driver_info, 'vmedia_transfer_method', ['Stream', 'Upload'])
