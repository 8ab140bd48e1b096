/**
 * From the fault that ended work to its cause. Many causes end in one kind of fault: an agent tells all that went wrong on
 * its machine in words. The words of our agent are known, those of a stock one mostly; whatever is not known keeps the
 * code of its fault.
 *
 * Source: openstack/ironic-python-agent `errors.py` (names that travel as command_error.type).
 */

interface Reading {
  /** Of the faults that it is for; absent: any. */
  codes?: readonly string[]
  says: RegExp
  cause: string
}

const ofAgent = ['agent-command-failed', 'agent-error', 'agent-refused']
const ofImages = ['image-unreachable', ...ofAgent]
const ofSettings = ['invalid-input', ...ofAgent]

/** The first that fits counts: the more telling come first. */
const readings: readonly Reading[] = [
  { codes: ['settings-wrong'], says: /pxe_enabled/, cause: 'no-boot-port' },
  { says: /config ?drive/i, codes: ofSettings, cause: 'config-drive-broken' },
  { codes: ['agent-lost'], says: /reports "power off"/, cause: 'power-lost' },
  { codes: ['agent-lost'], says: /restarted in between/, cause: 'agent-restarted' },
  { codes: ofAgent, says: /agent process was restarted|agent was restarted/i, cause: 'agent-restarted' },
  {
    codes: ofAgent,
    says: /out of memory|ENOMEM|cannot allocate memory|ImageDownloadOutofSpaceError/i,
    cause: 'out-of-memory',
  },
  {
    codes: ofImages,
    says: /through the proxy|ProxyError|proxy.*(refused|unreachable|timed? ?out)/i,
    cause: 'proxy-unreachable',
  },
  {
    codes: ofImages,
    says: /certificate|CERT_|SSLError|SSL: |ERR_SSL|ERR_TLS|unable to verify/i,
    cause: 'image-server-not-trusted',
  },
  { codes: ofAgent, says: /ImageChecksumError|checksum.*(mismatch|failed|differ)/i, cause: 'image-checksum-mismatch' },
  {
    codes: ofAgent,
    says: /is larger than|disk has \d+ bytes|too small|does not fit|not enough (space|room)|No space left/i,
    cause: 'disk-too-small',
  },
  {
    codes: ofAgent,
    says: /EIO|I\/O error|Input\/output error|ENXIO|ENODEV|EROFS|Remote I\/O|BlockDevice\w*Error/i,
    cause: 'disk-failed',
  },
  { codes: ofAgent, says: /of at least .*found none among: (?!no disks)/i, cause: 'disk-too-small' },
  { codes: ofAgent, says: /DeviceNotFound|No suitable device|no disk/i, cause: 'no-root-device' },
  { codes: ofAgent, says: /ImageDownload\w*Error/, cause: 'image-unreachable' },
  { codes: ofAgent, says: /InvalidImage/, cause: 'image-refused' },
  { codes: ofAgent, says: /ImageWriteError/, cause: 'disk-failed' },
  { codes: ofAgent, says: /^The agent failed (step|clean|deploy|service)/, cause: 'step-failed' },
  { codes: ['bmc-refused', 'bmc-not-redfish'], says: /HTTP (429|50[234])\b/, cause: 'bmc-busy' },
  { codes: ['bmc-refused'], says: /HTTP 404\b/, cause: 'bmc-wrong-address' },
  { codes: ['internal', 'command-failed', 'image-not-prepared'], says: /ENOSPC|no space left/i, cause: 'disk-full' },
]

/** @param code of the fault; null where it is not known @param text of its message */
export function causeOf(code: string | null, text: string): string {
  const fits = readings.find(
    ({ codes, says }) => (!codes || (code !== null && codes.includes(code))) && says.test(text),
  )
  return fits?.cause ?? code ?? 'unknown'
}

/** All that readings may name. */
export const readCauses: readonly string[] = [...new Set(readings.map(({ cause }) => cause))]
