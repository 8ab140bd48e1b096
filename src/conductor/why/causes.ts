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
const ofImages = ['image-unreachable', 'boot-file-unavailable', ...ofAgent]
const ofSettings = ['invalid-input', ...ofAgent]
/** Files that the service itself keeps. */
const ofOwnFiles = ['internal', 'command-failed', 'image-not-prepared', 'boot-file-unavailable', 'iso-not-built']

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
  { codes: ofImages, says: /answered \d+ through the proxy/, cause: 'proxy-refused' },
  {
    codes: ofImages,
    says: /through the proxy|ProxyError|proxy.*(refused|unreachable|timed? ?out)/i,
    cause: 'proxy-unreachable',
  },
  {
    codes: ofImages,
    says: /\bENOTFOUND\b|\bEAI_AGAIN\b|getaddrinfo|Name or service not known|failure in name resolution|name .*cannot be resolved/i,
    cause: 'name-not-resolved',
  },
  {
    codes: ofImages,
    says: /certificate|CERT_|SSLError|SSL: |ERR_SSL|ERR_TLS|unable to verify/i,
    cause: 'image-server-not-trusted',
  },
  { codes: ofAgent, says: /ImageChecksumError|checksum.*(mismatch|failed|differ)/i, cause: 'image-checksum-mismatch' },
  { codes: ofAgent, says: /Cannot make \S+( \S+)? bootable/, cause: 'image-not-bootable' },
  { codes: ofAgent, says: /the disk has no partitions now/, cause: 'image-without-partitions' },
  {
    codes: ofAgent,
    says: /is larger than|disk has \d+ bytes|the disk only \d+|bytes, needed are \d+/i,
    cause: 'disk-too-small',
  },
  { codes: ofAgent, says: /too small|does not fit|not enough (space|room)|No space left/i, cause: 'disk-too-small' },
  // qemu-img tells of what it cannot read of an image as of a disk: Input/output error.
  {
    codes: ofAgent,
    says: /Converting the image .*(corrupt|not in \w+ format|error while reading)/i,
    cause: 'image-refused',
  },
  {
    codes: ofAgent,
    says: /EIO|I\/O error|Input\/output error|ENXIO|ENODEV|EROFS|Remote I\/O/i,
    cause: 'disk-failed',
  },
  {
    codes: ofAgent,
    says: /ProtectedDeviceError|the (disk|device) is read-only|it is in use by|holds the cluster file system/,
    cause: 'disk-protected',
  },
  { codes: ofAgent, says: /frozen the security state|neither secure erase nor/, cause: 'erase-refused' },
  { codes: ofAgent, says: /BlockDevice\w*Error/, cause: 'disk-failed' },
  { codes: ofAgent, says: /of at least .*found none among: (?!no disks)/i, cause: 'disk-too-small' },
  { codes: ofAgent, says: /DeviceNotFound|No suitable device|no disk/i, cause: 'no-root-device' },
  { codes: ofAgent, says: /ImageDownload\w*Error/, cause: 'image-unreachable' },
  { codes: ofAgent, says: /InvalidImage/, cause: 'image-refused' },
  { codes: ofAgent, says: /ImageWriteError/, cause: 'disk-failed' },
  { codes: ofAgent, says: /^The agent failed /, cause: 'step-failed' },
  {
    codes: ['agent-unreachable'],
    says: /certificate|CERT_|self-signed|unable to verify|ERR_(SSL|TLS)/i,
    cause: 'agent-not-trusted',
  },
  { codes: ['bmc-refused'], says: /SessionLimitExceeded|too many sessions/i, cause: 'bmc-no-session' },
  { codes: ['bmc-refused', 'bmc-not-redfish'], says: /HTTP (429|50[234])\b/, cause: 'bmc-busy' },
  { codes: ['bmc-not-redfish'], says: /answered HTTP 500\b/, cause: 'bmc-refused' },
  { codes: ['bmc-not-redfish'], says: /Cannot read the .* at https?:/, cause: 'bmc-unreadable' },
  { codes: ['bmc-not-redfish'], says: /BMC at http:.* does not speak HTTP here/, cause: 'bmc-wrong-scheme' },
  { codes: ['bmc-not-trusted'], says: /does not speak TLS/, cause: 'bmc-wrong-scheme' },
  { codes: ['bmc-not-trusted'], says: /TLS could not be agreed/, cause: 'bmc-tls-version' },
  {
    codes: ['bmc-unreachable'],
    says: /name cannot be resolved|getaddrinfo|\bENOTFOUND\b|\bEAI_AGAIN\b/,
    cause: 'bmc-name-not-resolved',
  },
  { codes: ['bmc-refused'], says: /HTTP 404\b/, cause: 'bmc-wrong-address' },
  { codes: ['bmc-refused'], says: /ipmi_priv_level or the user is not enough/, cause: 'bmc-access-denied' },
  { codes: ['bmc-no-session'], says: /may not have privilege/, cause: 'bmc-access-denied' },
  {
    codes: ['bmc-no-session'],
    says: /check ipmi_cipher_suite|set ipmi_protocol_version/,
    cause: 'bmc-session-settings',
  },
  // A BMC that took the request and went away then.
  { codes: ['power-state-timeout'], says: /could not be asked: .*\bPDU\b/, cause: 'pdu-unreachable' },
  { codes: ['power-state-timeout'], says: /could not be asked: .*others hold all sessions/, cause: 'bmc-no-session' },
  {
    codes: ['power-state-timeout'],
    says: /could not be asked: .*(HTTP (429|50[234])\b|answered .* with ")/,
    cause: 'bmc-busy',
  },
  { codes: ['power-state-timeout'], says: /could not be asked: /, cause: 'bmc-unreachable' },
  { codes: ofOwnFiles, says: /ENOSPC|no space left|disk is full|SQLITE_FULL/i, cause: 'disk-full' },
  // A firewall of this host refuses connections by the same words.
  { codes: ofOwnFiles, says: /(?<!connect )\b(EROFS|EACCES|EPERM)\b/, cause: 'state-not-writable' },
]

/** An agent that fell silent, or came back, cannot say why; the kernel's words in the ramdisk's log may. */
const logReadings: readonly { of: readonly string[]; says: RegExp; cause: string }[] = [
  { of: ['agent-lost', 'agent-restarted'], says: /Out of memory: Killed|oom-kill|oom_reaper/i, cause: 'out-of-memory' },
  {
    of: ['agent-lost', 'agent-restarted', 'step-failed'],
    says: /\[Hardware Error\]|mce: .*Machine check|EDAC .*\bUE\b/i,
    cause: 'hardware-failed',
  },
  {
    of: ['agent-lost', 'agent-restarted'],
    says: /Kernel panic|kernel BUG at|BUG: unable to/i,
    cause: 'kernel-panicked',
  },
  {
    of: ['agent-lost', 'agent-restarted', 'step-failed', 'agent-error', 'image-without-partitions'],
    says: /(I\/O|critical (medium|target)) error, dev|Buffer I\/O error on dev|nvme.*(controller is down|not ready)/i,
    cause: 'disk-failed',
  },
]

/** The cause, unless the log of the ramdisk knows a better one. @param lines those that tell of trouble */
export function causeByLog(cause: string, lines: readonly string[]): string {
  const fits = logReadings.find(({ of, says }) => of.includes(cause) && lines.some(line => says.test(line)))
  return fits?.cause ?? cause
}

/** @param code of the fault; null where it is not known @param text of its message */
export function causeOf(code: string | null, text: string): string {
  const fits = readings.find(
    ({ codes, says }) => (!codes || (code !== null && codes.includes(code))) && says.test(text),
  )
  return fits?.cause ?? code ?? 'unknown'
}

/** All that readings may name. */
export const readCauses: readonly string[] = [...new Set([...readings, ...logReadings].map(({ cause }) => cause))]
