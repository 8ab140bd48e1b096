/**
 * The agent's options: what the kernel command line (`ipa-*`) and configuration files say, with defaults. Declared once,
 * in the tables below; no other file reads a parameter. Where the texts come from is in configuration.ts.
 *
 * Source: openstack/ironic-python-agent `config.py` for names and defaults.
 */
import { InvalidInput } from '#lib/fault.ts'
import type { Curve } from '#lib/x509.ts'
import type { ContainerPolicy } from '#protocol/agent.ts'
import { logUrlParameter } from '#protocol/ramdisk-log.ts'

export type TlsVersion = '1.2' | '1.3'

export interface Options {
  /** Base URLs of the provisioning API, tried in order. */
  apiUrls: string[]
  globalRequestId: string | null
  agentToken: string | null
  /** Fixes the API version, else it is asked for. */
  apiVersion: string | null
  listenHost: string | null
  listenPort: number
  advertiseHost: string | null
  advertisePort: number | null
  /** Take the address from this interface, not from the route to the API. */
  networkInterface: string | null
  ipLookupAttempts: number
  ipLookupPauseMs: number
  lookupTimeoutMs: number
  lookupIntervalMs: number
  httpTimeoutMs: number
  insecure: boolean
  tlsMinVersion: TlsVersion
  tlsCipherSuites: string | null
  tlsCurve: Curve
  /** Authorities to trust instead of the usual ones; a file. */
  caFile: string | null
  /** To show to servers that ask who we are; files. */
  certFile: string | null
  keyFile: string | null
  /** A certificate of our own making, told with the heartbeat, where the API takes one. */
  autoTls: boolean
  /** How far it is dated back. */
  clockSkewMs: number
  /** A certificate that somebody else made, which the conductor was told of by other means. */
  listenTls: boolean
  tlsCertFile: string | null
  tlsKeyFile: string | null
  /** Null: what is served. */
  advertiseProtocol: 'http' | 'https' | null
  inspectionUrls: string[]
  /** Null: not given, which means the defaults as soon as there is a URL. */
  inspectionCollectors: string[] | null
  /** How long inspection waits for the boot's network card, or for all, to have an address; 0: not at all. */
  dhcpWaitMs: number
  dhcpAllInterfaces: boolean
  /** For the collector extra-hardware: cpu, disk, mem. */
  benchmarks: string[]
  /** Put LLDP into each interface of the inventory, too. */
  collectLldp: boolean
  lldpTimeoutMs: number
  /** VLAN interfaces to make: `eno1.100`, or cards whose switches name them. */
  vlanInterfaces: string[]
  /** Look for the API by mDNS where no URL is given; the word `mdns` among the URLs asks for it in any case. */
  useMdns: boolean
  /** Options that an answer of mDNS may set. */
  mdnsAllowedOverrides: string[]
  hardwareDelayMs: number
  diskWaitAttempts: number
  diskWaitPauseMs: number
  ntpServer: string | null
  downloadTimeoutMs: number
  downloadRetries: number
  downloadRetryPauseMs: number
  /** 0: no limit. */
  downloadMaxDurationMs: number
  guardSpecialFilesystems: boolean
  ignoreBootloaderFailure: boolean
  /** Of the step inject_files while deploying; 0: only when somebody asks for it. */
  injectFilesPriority: number
  debug: boolean
  /** BOOTIF as the boot loader wrote it. */
  bootInterface: string | null
  /** Where pieces of this ramdisk's log go. */
  logUrl: string | null
  // What the lookup's answer may change; there are no kernel parameters for these.
  md5Enabled: boolean
  deepInspection: boolean
  permittedImageFormats: string[]
  skipBmc: boolean
  /** What the look-up's answer says of containers; null: nothing yet, so none may run. */
  containers: ContainerPolicy | null
  /** Null: where stock agents look for it. */
  containerStepsFile: string | null
  /** Whether programs of a partition image may be run to make it bootable. */
  runImageInstaller: boolean
}

const text = (value: string) => value
const list = (value: string) =>
  value
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
const milliseconds = (value: string, name: string) => number(value, name) * 1000

type Parsers = Record<string, Partial<{ [K in keyof Options]: (value: string, name: string) => Options[K] }>>

const parameters: Parsers = {
  'ipa-api-url': { apiUrls },
  'ipa-global-request-id': { globalRequestId: text },
  'ipa-agent-token': { agentToken: text },
  'ipa-ironic-api-version': { apiVersion: text },
  'ipa-listen-host': { listenHost: text },
  'ipa-listen-port': { listenPort: number },
  'ipa-advertise-host': { advertiseHost: text },
  'ipa-advertise-port': { advertisePort: number },
  'ipa-advertise-protocol': { advertiseProtocol },
  'ipa-network-interface': { networkInterface: text },
  'ipa-ip-lookup-attempts': { ipLookupAttempts: number },
  'ipa-ip-lookup-timeout': { ipLookupPauseMs: milliseconds },
  'ipa-lookup-timeout': { lookupTimeoutMs: milliseconds },
  'ipa-lookup-interval': { lookupIntervalMs: milliseconds },
  'ipa-http-request-timeout': { httpTimeoutMs: milliseconds },
  'ipa-insecure': { insecure: boolean },
  'ipa-tls-min-version': { tlsMinVersion },
  'ipa-tls-cipher-suites': { tlsCipherSuites: text },
  'ipa-tls-certificate-curve': { tlsCurve },
  'ipa-inspection-callback-url': { inspectionUrls: apiUrls },
  'ipa-inspection-collectors': { inspectionCollectors: list },
  'ipa-inspection-dhcp-wait-timeout': { dhcpWaitMs: milliseconds },
  'ipa-inspection-dhcp-all-interfaces': { dhcpAllInterfaces: boolean },
  'ipa-inspection-benchmarks': { benchmarks: list },
  'ipa-collect-lldp': { collectLldp: boolean },
  'ipa-lldp-timeout': { lldpTimeoutMs: milliseconds },
  'ipa-enable-vlan-interfaces': { vlanInterfaces: list },
  'ipa-use-mdns': { useMdns: boolean },
  'ipa-hardware-initialization-delay': { hardwareDelayMs: milliseconds },
  'ipa-disk-wait-attempts': { diskWaitAttempts: number },
  'ipa-disk-wait-delay': { diskWaitPauseMs: milliseconds },
  'ipa-ntp-server': { ntpServer },
  'ipa-image-download-connection-timeout': { downloadTimeoutMs: milliseconds },
  'ipa-image-download-connection-retries': { downloadRetries: number },
  'ipa-image-download-connection-retry-interval': { downloadRetryPauseMs: milliseconds },
  'ipa-image-download-max-duration': { downloadMaxDurationMs: milliseconds },
  'ipa-guard-special-filesystems': { guardSpecialFilesystems: boolean },
  'ipa-ignore-bootloader-failure': { ignoreBootloaderFailure: boolean },
  'ipa-inject-files-priority': { injectFilesPriority },
  'ipa-debug': { debug: boolean },
  BOOTIF: { bootInterface: text },
  [logUrlParameter]: { logUrl: text },
}

/** Options of configuration files whose kernel parameter is called differently, or does not exist. */
const fileOptions: Parsers = {
  '[DEFAULT] ip_lookup_sleep': { ipLookupPauseMs: milliseconds },
  '[DEFAULT] cafile': { caFile: text },
  '[DEFAULT] certfile': { certFile: text },
  '[DEFAULT] keyfile': { keyFile: text },
  '[DEFAULT] enable_auto_tls': { autoTls: boolean },
  '[DEFAULT] auto_tls_allowed_clock_skew': { clockSkewMs: milliseconds },
  '[DEFAULT] listen_tls': { listenTls: boolean },
  '[DEFAULT] tls_cert_file': { tlsCertFile: text },
  '[DEFAULT] tls_key_file': { tlsKeyFile: text },
  '[ssl] cert_file': { tlsCertFile: text },
  '[ssl] key_file': { tlsKeyFile: text },
  '[DEFAULT] md5_enabled': { md5Enabled: boolean },
  '[DEFAULT] disable_deep_image_inspection': { deepInspection: (value, name) => !boolean(value, name) },
  '[DEFAULT] permitted_image_formats': { permittedImageFormats: list },
  '[DEFAULT] enable_bios_bootloader_install': { runImageInstaller: boolean },
  '[container] container_steps_file': { containerStepsFile: text },
  '[mdns] use_mdns': { useMdns: boolean },
  '[mdns] allowed_overrides': { mdnsAllowedOverrides: list },
}

/** Kernel parameters whose name says nothing about an option of a file. */
const withoutFileOption = ['BOOTIF', 'ipa-ip-lookup-timeout', 'ipa-use-mdns', 'ipa-inspection-benchmarks']

const byFileOption: Parsers = {
  ...fileOptions,
  ...Object.fromEntries(
    Object.entries(parameters)
      .filter(([name]) => name.startsWith('ipa-') && !withoutFileOption.includes(name))
      .map(([name, parsers]) => [`[DEFAULT] ${name.slice('ipa-'.length).replaceAll('-', '_')}`, parsers]),
  ),
}

export function defaultOptions(): Options {
  return {
    apiUrls: [],
    globalRequestId: null,
    agentToken: null,
    apiVersion: null,
    listenHost: null,
    listenPort: 9999,
    advertiseHost: null,
    advertisePort: null,
    networkInterface: null,
    ipLookupAttempts: 6,
    ipLookupPauseMs: 10_000,
    lookupTimeoutMs: 600_000,
    lookupIntervalMs: 1_000,
    httpTimeoutMs: 30_000,
    insecure: false,
    tlsMinVersion: '1.2',
    tlsCipherSuites: null,
    tlsCurve: 'p384',
    caFile: null,
    certFile: null,
    keyFile: null,
    autoTls: true,
    clockSkewMs: 3_600_000,
    listenTls: false,
    tlsCertFile: null,
    tlsKeyFile: null,
    advertiseProtocol: null,
    inspectionUrls: [],
    inspectionCollectors: null,
    dhcpWaitMs: 60_000,
    dhcpAllInterfaces: false,
    benchmarks: [],
    collectLldp: false,
    lldpTimeoutMs: 30_000,
    vlanInterfaces: [],
    useMdns: false,
    mdnsAllowedOverrides: ['inspection_callback_url', 'ntp_server'],
    hardwareDelayMs: 0,
    diskWaitAttempts: 10,
    diskWaitPauseMs: 3_000,
    ntpServer: null,
    downloadTimeoutMs: 60_000,
    downloadRetries: 9,
    downloadRetryPauseMs: 10_000,
    downloadMaxDurationMs: 0,
    guardSpecialFilesystems: true,
    ignoreBootloaderFailure: false,
    injectFilesPriority: 0,
    debug: false,
    bootInterface: null,
    logUrl: null,
    md5Enabled: true,
    deepInspection: true,
    permittedImageFormats: ['raw', 'gpt', 'qcow2'],
    skipBmc: false,
    containers: null,
    containerStepsFile: null,
    runImageInstaller: false,
  }
}

/**
 * Reads a kernel command line. Words without `=` and unknown names are somebody else's; the last of several wins.
 * @param configured by configuration files: `[section] key` to value; these win
 * @throws InvalidInput naming the parameter or option, what was found and what was expected
 */
export function readOptions(cmdline: string, configured: ReadonlyMap<string, string> = new Map()): Options {
  return { ...defaultOptions(), ...parsed(kernelParameters(cmdline), parameters), ...configOptions(configured) }
}

/** Options that are known among these of configuration files, `[section] key` to value. @throws InvalidInput */
export function configOptions(configured: ReadonlyMap<string, string>): Partial<Options> {
  return parsed(configured, byFileOption)
}

function parsed(values: ReadonlyMap<string, string>, table: Parsers): Partial<Options> {
  const options: Partial<Options> = {}
  for (const [name, value] of values) {
    if (!Object.hasOwn(table, name)) continue
    for (const [key, parse] of Object.entries(table[name] ?? {})) {
      // The table pairs every key with a parser of that key's type.
      Object.assign(options, { [key]: parse(value, name) })
    }
  }
  return options
}

/** Splits at white space, then at the first `=`; there are no quotes. */
export function kernelParameters(cmdline: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const word of cmdline.split(/\s+/)) {
    const equals = word.indexOf('=')
    if (equals > 0) found.set(word.slice(0, equals), word.slice(equals + 1))
  }
  return found
}

function apiUrls(value: string, name: string): string[] {
  const urls = list(value)
  for (const url of urls) {
    if (url === 'mdns' || /^https?:\/\/[^/]+/.test(url)) continue
    throw wrong(name, url, 'a comma list of http:// or https:// URLs, or mdns')
  }
  return urls.map(url => url.replace(/\/+$/, ''))
}

function number(value: string, name: string): number {
  if (!/^\d+(\.\d+)?$/.test(value)) throw wrong(name, value, 'a number that is not negative')
  return Number(value)
}

function injectFilesPriority(value: string, name: string): number {
  if (/^\d{1,2}$/.test(value)) return Number(value)
  throw wrong(name, value, 'a whole number from 0 to 99')
}

function boolean(value: string, name: string): boolean {
  const word = value.toLowerCase()
  if (['1', 'true', 'yes', 'on', 't', 'y'].includes(word)) return true
  if (['0', 'false', 'no', 'off', 'f', 'n'].includes(word)) return false
  throw wrong(name, value, '1, 0, true, false, yes, no, on or off')
}

export function tlsMinVersion(value: string, name: string): TlsVersion {
  if (value === '1.2' || value === '1.3') return value
  throw wrong(name, value, '1.2 or 1.3')
}

function advertiseProtocol(value: string, name: string): 'http' | 'https' {
  if (value === 'http' || value === 'https') return value
  throw wrong(name, value, 'http or https')
}

function tlsCurve(value: string, name: string): Curve {
  if (value === 'p256' || value === 'p384' || value === 'p521') return value
  throw wrong(name, value, 'p256, p384 or p521')
}

function ntpServer(value: string, name: string): string {
  if (/^[A-Za-z0-9.:_][A-Za-z0-9.:_-]{0,252}$/.test(value)) return value
  throw wrong(name, value, 'one host name or address')
}

function wrong(name: string, found: string, expected: string): InvalidInput {
  const what = name.startsWith('[') ? 'the option' : 'kernel parameter'
  return new InvalidInput(`Cannot read ${what} ${name}: found "${found}", expected ${expected}`)
}
