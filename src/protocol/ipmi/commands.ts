/**
 * Numbers of IPMI that both of its ends need: network functions, commands, privileges, and the codes that answers begin
 * with, in words. Source: IPMI v2.0 rev 1.1, 5.2 "Completion codes", 13.24 "RMCP+ status codes", appendix G.
 */

export const netFns = { chassis: 0x00, sensor: 0x04, app: 0x06, storage: 0x0a } as const

export const commands = {
  chassis: { status: 0x01, control: 0x02, setBootOptions: 0x08, getBootOptions: 0x09 },
  sensor: { getThresholds: 0x27, getReading: 0x2d },
  app: {
    getDeviceId: 0x01,
    coldReset: 0x02,
    warmReset: 0x03,
    sendMessage: 0x34,
    getChannelAuthentication: 0x38,
    getSessionChallenge: 0x39,
    activateSession: 0x3a,
    setPrivilege: 0x3b,
    closeSession: 0x3c,
    activatePayload: 0x48,
    deactivatePayload: 0x49,
    getCipherSuites: 0x54,
  },
  storage: { getRepositoryInfo: 0x20, reserveRepository: 0x22, getSdr: 0x23 },
} as const

/** Names as `ipmi_priv_level` has them. */
export const privileges = { CALLBACK: 1, USER: 2, OPERATOR: 3, ADMINISTRATOR: 4 } as const
export type Privilege = keyof typeof privileges

/** What `chassis control` is told to do. */
export const chassisControls = { off: 0, on: 1, cycle: 2, reset: 3, diagnosticInterrupt: 4, softOff: 5 } as const

export const completion = {
  ok: 0x00,
  nodeBusy: 0xc0,
  invalidCommand: 0xc1,
  invalidForLun: 0xc2,
  timeout: 0xc3,
  outOfSpace: 0xc4,
  reservationLost: 0xc5,
  tooManyBytes: 0xca,
  notPresent: 0xcb,
  invalidData: 0xcc,
  initializing: 0xd2,
  insufficientPrivilege: 0xd4,
  notNow: 0xd5,
} as const

/** Words that ipmitool prints for them, too: operators search for those. */
const completionWords: Readonly<Record<number, string>> = {
  192: 'Node busy',
  193: 'Invalid command',
  194: 'Invalid command on LUN',
  195: 'Timeout',
  196: 'Out of space',
  197: 'Reservation cancelled or invalid',
  198: 'Request data truncated',
  199: 'Request data length invalid',
  200: 'Request data field length limit exceeded',
  201: 'Parameter out of range',
  202: 'Cannot return number of requested data bytes',
  203: 'Requested sensor, data, or record not found',
  204: 'Invalid data field in request',
  205: 'Command illegal for specified sensor or record type',
  206: 'Command response could not be provided',
  207: 'Cannot execute duplicated request',
  208: 'SDR Repository in update mode',
  209: 'Device firmware in update mode',
  210: 'BMC initialization in progress',
  211: 'Destination unavailable',
  212: 'Insufficient privilege level',
  213: 'Command not supported in present state',
  214: 'Command disabled',
  255: 'Unspecified error',
}

export function completionText(code: number): string {
  return `${completionWords[code] ?? 'a code of its own'} (0x${code.toString(16).padStart(2, '0')})`
}

export const rmcpStatus = {
  ok: 0x00,
  insufficientResources: 0x01,
  invalidSessionId: 0x02,
  invalidAuthentication: 0x04,
  invalidIntegrity: 0x05,
  inactiveSession: 0x08,
  invalidRole: 0x09,
  unauthorizedRole: 0x0a,
  insufficientForRole: 0x0b,
  invalidNameLength: 0x0c,
  unauthorizedName: 0x0d,
  invalidCheck: 0x0f,
  invalidConfidentiality: 0x10,
  noSuiteMatch: 0x11,
} as const

const statusWords: Readonly<Record<number, string>> = {
  1: 'insufficient resources to create a session',
  2: 'invalid session ID',
  3: 'invalid payload type',
  4: 'invalid authentication algorithm',
  5: 'invalid integrity algorithm',
  6: 'no matching authentication payload',
  7: 'no matching integrity payload',
  8: 'inactive session ID',
  9: 'invalid role',
  10: 'unauthorized role or privilege level requested',
  11: 'insufficient resources to create a session at the requested role',
  12: 'invalid name length',
  13: 'unauthorized name',
  14: 'unauthorized GUID',
  15: 'invalid integrity check value',
  16: 'invalid confidentiality algorithm',
  17: 'no cipher suite match with proposed security algorithms',
  18: 'illegal or unrecognized parameter',
}

export function statusText(status: number): string {
  return `${statusWords[status] ?? 'a status of its own'} (0x${status.toString(16).padStart(2, '0')})`
}
