/**
 * What the redfish hardware type reads from driver_info, and the settings of one BMC made from it and from [redfish].
 * It checks what can be checked without asking the BMC.
 */
import { stat } from 'node:fs/promises'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import type { NodeContext, Property } from '../driver.ts'
import { oneOf, readSettings, textOf } from '../settings.ts'

export const redfishDriverInfo = {
  redfish_address: {
    required: true,
    description: 'URL of the BMC; https is assumed. A path in it is the service root instead of /redfish/v1/.',
  },
  redfish_system_id: {
    description: 'Path of the system, such as /redfish/v1/Systems/1. Needed only when the BMC has several systems.',
  },
  redfish_username: { description: 'User to log in with. Unset: no authentication.' },
  redfish_password: { secret: true, description: 'Password of that user.' },
  redfish_auth_type: { description: 'basic, session or auto (a session, else basic). Default: [redfish] auth_type.' },
  redfish_verify_ca: {
    description:
      "How to check the BMC's certificate: true (system's authorities), false (not at all), or the path of a file or " +
      'directory of PEM certificates. Default: [redfish] verify_ca, else true.',
  },
  redfish_tls_fingerprint: {
    description: "SHA-256 of the BMC's certificate, in hex. When set, exactly this certificate is accepted.",
  },
  redfish_tls_minimum_version: { description: '1.1, 1.2 or 1.3. Default: [redfish] tls_minimum_version.' },
  redfish_tls_ciphers: { description: 'OpenSSL cipher list. Default: [redfish] tls_ciphers.' },
  deploy_iso: { description: 'Ready boot ISO of the deploy ramdisk, instead of one built of kernel and ramdisk.' },
  rescue_iso: { description: 'The same for rescue.' },
  bootloader: {
    description: 'EFI system partition image for UEFI boot ISOs. Default: [conductor] bootloader, else GRUB.',
  },
  external_http_url: { description: 'URL of the HTTP server for boot files as the BMC sees it.' },
  config_via_removable: {
    description: 'true: give a ready boot ISO its parameters on a floppy or USB stick of the virtual media.',
  },
  config_via_floppy: { description: 'Old name of config_via_removable.' },
  vmedia_transport_protocol: {
    description:
      'How images get to the BMC: HTTP, HTTPS, NFS ([nfs]), CIFS ([cifs]), or PUSH (sent over a WebSocket that the BMC ' +
      'offers). All but PUSH are told to the BMC with each image. Unset: HTTP or HTTPS, told only if the BMC asks for it.',
  },
  redfish_serial_socket: {
    description: "Path of the BMC's WebSocket for the serial port (redfish-serial). Unset: what Redfish tells.",
  },
  redfish_graphical_socket: {
    description: "Path of the BMC's WebSocket for the screen, by RFB (redfish-graphical). Unset: OpenBMC's, /kvm/0.",
  },
  vmedia_transfer_method: {
    description: 'Stream or Upload (a copy on the BMC before the machine starts). Unset: the BMC chooses.',
  },
} as const satisfies Record<string, Property>

export type AuthType = 'basic' | 'session' | 'auto'

export interface TlsSettings {
  /** Check the certificate against authorities; a fingerprint goes before it. */
  verify: boolean
  /** File or directory of PEM certificates that are trusted instead of the system's. */
  caPath: string | null
  /** SHA-256 of the only acceptable certificate: 64 hex digits, lower case. */
  fingerprint: string | null
  minimumVersion: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3' | null
  ciphers: string | null
}

/** All that a connection to one BMC depends on. */
export interface BmcSettings {
  /** Scheme, host and port. */
  origin: string
  /** Path of the service root, with a slash at its end. */
  rootPath: string
  username: string | null
  password: string | null
  authType: AuthType
  tls: TlsSettings
  connectTimeoutMs: number
  readTimeoutMs: number
  /** Tries of a request that failed for a reason that may pass. */
  attempts: number
  retryIntervalMs: number
}

/**
 * Reads and checks the settings of the node's BMC.
 * @throws InvalidInput naming every setting that is missing or wrong
 */
export function bmcSettings(ctx: Pick<NodeContext, 'node' | 'config'>): BmcSettings {
  const { redfish } = ctx.config
  const info = ctx.node.driver_info
  return readSettings(`Cannot use driver_info of node ${ctx.node.uuid} for Redfish`, ({ attempt, problem }) => {
    const address = attempt(() => addressOf(textOf(info, 'redfish_address')), { origin: '', rootPath: '' })
    const username = attempt(() => textOf(info, 'redfish_username'), null)
    const password = attempt(() => textOf(info, 'redfish_password'), null)
    const authType = attempt(() => oneOf(info, 'redfish_auth_type', ['basic', 'session', 'auto']), null)
    const verify = attempt(() => verifyOf(info.redfish_verify_ca, redfish.verify_ca), { verify: true, caPath: null })
    const fingerprint = attempt(() => fingerprintOf(textOf(info, 'redfish_tls_fingerprint')), null)
    const version = attempt(() => oneOf(info, 'redfish_tls_minimum_version', ['1.1', '1.2', '1.3']), null)
    const ciphers = attempt(() => textOf(info, 'redfish_tls_ciphers'), null)
    if (username === null && password !== null) problem('redfish_password is set without redfish_username')
    if (username === null && authType === 'session') problem('redfish_auth_type session needs redfish_username')

    const minimumVersion = version ?? redfish.tls_minimum_version
    return {
      ...address,
      username,
      password,
      authType: authType ?? redfish.auth_type,
      tls: {
        ...verify,
        fingerprint,
        minimumVersion: minimumVersion ? `TLSv${minimumVersion}` : null,
        ciphers: ciphers ?? redfish.tls_ciphers,
      },
      connectTimeoutMs: redfish.connect_timeout * 1000,
      readTimeoutMs: redfish.read_timeout * 1000,
      attempts: redfish.connection_attempts,
      retryIntervalMs: redfish.connection_retry_interval * 1000,
    }
  })
}

/** redfish_system_id as given; null when it is not. */
export function systemIdOf(node: NodeContext['node']): string | null {
  return textOf(node.driver_info, 'redfish_system_id')
}

/** Checks the settings and that the CA file or directory is there. @throws InvalidInput */
export async function validateDriverInfo(ctx: NodeContext): Promise<void> {
  const { tls } = bmcSettings(ctx)
  systemIdOf(ctx.node)
  if (tls.caPath === null) return
  await stat(tls.caPath).catch(error => {
    throw new InvalidInput(
      `Cannot use driver_info of node ${ctx.node.uuid} for Redfish: redfish_verify_ca names ${tls.caPath}, ` +
        `which this conductor cannot read (${error.code ?? messageOf(error)}); expected true, false, or a file or directory of PEM certificates`,
    )
  })
}

function addressOf(text: string | null): { origin: string; rootPath: string } {
  if (text === null) throw new InvalidInput('redfish_address is missing, expected the URL of the BMC')
  // A bare IPv6 address is a host, not a host and a port.
  const host = /^[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:.]*$/i.test(text) ? `[${text}]` : text
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(host) ? host : `https://${host}`)
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.host === '' || url.search !== '' || url.hash !== '') {
    throw new InvalidInput(`redfish_address is ${JSON.stringify(text)}, expected a URL such as https://192.0.2.10`)
  }
  if (url.username !== '' || url.password !== '') {
    // Not shown: it holds the password.
    throw new InvalidInput('redfish_address holds a user name; put it into redfish_username and redfish_password')
  }
  const path = url.pathname === '/' ? '/redfish/v1/' : url.pathname.replace(/\/*$/, '/')
  return { origin: url.origin, rootPath: path }
}

/** A node's true, or nothing, leaves the choice to the configuration, as in Ironic. */
function verifyOf(value: unknown, configured: boolean | string | null): { verify: boolean; caPath: string | null } {
  const own = typeof value === 'string' ? (booleanOf(value) ?? value) : value
  if (own === false) return { verify: false, caPath: null }
  if (typeof own === 'string' && own !== '') return { verify: true, caPath: own }
  if (own !== true && own !== undefined && own !== null && own !== '') {
    throw new InvalidInput(`redfish_verify_ca is a ${typeof own}, expected true, false or a path`)
  }
  if (configured === false) return { verify: false, caPath: null }
  return { verify: true, caPath: typeof configured === 'string' ? configured : null }
}

function booleanOf(text: string): boolean | undefined {
  if (/^(1|t|true|y|yes|on)$/i.test(text)) return true
  if (/^(0|f|false|n|no|off)$/i.test(text)) return false
  return undefined
}

function fingerprintOf(text: string | null): string | null {
  if (text === null) return null
  const digits = text
    .replace(/^sha-?256[:=]/i, '')
    .replaceAll(':', '')
    .toLowerCase()
  if (/^[0-9a-f]{64}$/.test(digits)) return digits
  throw new InvalidInput('redfish_tls_fingerprint is not a SHA-256 in hex, expected 64 hex digits')
}
