/**
 * What can go wrong between us and a BMC that speaks IPMI, told apart, because each calls for another action: the
 * network, the address, the user, the key, the settings of a session, or the firmware. It sends nothing.
 */
import { completion, completionText, rmcpStatus, statusText } from '#protocol/ipmi/commands.ts'
import { HardwareFault } from '../driver.ts'

/** Nothing came back, or no longer. */
export class IpmiSilent extends HardwareFault {
  override readonly code = 'bmc-unreachable'
  override get mayPass(): boolean {
    return true
  }
}

/** Nothing came back to the very request for a session: it may be the cipher suite that it does not know. */
export class IpmiSuiteIgnored extends IpmiSilent {}

/** The BMC does not know the user, or the password or key is another one. */
export class IpmiAccessDenied extends HardwareFault {
  override readonly code = 'bmc-access-denied'
}

/** The BMC opens no session as it was asked to: cipher suite, privilege, version, or no place left. */
export class IpmiNoSession extends HardwareFault {
  override readonly code = 'bmc-no-session'
  /** The status of RMCP+; null where something else was wrong. */
  readonly rmcpStatus: number | null
  constructor(message: string, status: number | null = null) {
    super(message)
    this.rmcpStatus = status
  }

  /** When others have closed their sessions. */
  override get mayPass(): boolean {
    const full: readonly (number | null)[] = [rmcpStatus.insufficientResources, rmcpStatus.insufficientForRole]
    return full.includes(this.rmcpStatus)
  }

  /** Another cipher suite may be taken. */
  get isAboutSuite(): boolean {
    const about: readonly (number | null)[] = [
      rmcpStatus.invalidAuthentication,
      rmcpStatus.invalidIntegrity,
      rmcpStatus.invalidConfidentiality,
      rmcpStatus.noSuiteMatch,
      // Some firmware says so of a suite that it does not offer to the role.
      rmcpStatus.invalidRole,
    ]
    return about.includes(this.rmcpStatus)
  }
}

/** The BMC answered a command with an error. */
export class IpmiRefused extends HardwareFault {
  override readonly code = 'bmc-refused'
  readonly completion: number

  constructor(message: string, code: number) {
    super(message)
    this.completion = code
  }

  override get mayPass(): boolean {
    const passing: readonly number[] = [
      completion.nodeBusy,
      completion.timeout,
      completion.outOfSpace,
      completion.initializing,
    ]
    return passing.includes(this.completion)
  }
}

/** An answer that has not the form it should have. */
export class IpmiUnreadable extends HardwareFault {
  override readonly code = 'bmc-unreadable'
}

/** @param what ends "The BMC at … answered …" */
export function refusal(bmc: string, what: string, code: number): IpmiRefused {
  const hint = code === completion.insufficientPrivilege ? '; ipmi_priv_level or the user is not enough for it' : ''
  return new IpmiRefused(`The BMC at ${bmc} answered ${what} with "${completionText(code)}"${hint}`, code)
}

/** A fault for an opening that the BMC ended with a status. */
export function openingRefused(
  bmc: string,
  step: string,
  status: number,
  asked: { suite: number; privilege: string; user: string },
): HardwareFault {
  const said = `The BMC at ${bmc} answered ${step} with "${statusText(status)}"`
  const user = asked.user === '' ? 'the user without a name' : `user ${JSON.stringify(asked.user)}`
  switch (status) {
    case rmcpStatus.unauthorizedName:
    case rmcpStatus.invalidNameLength:
      return new IpmiAccessDenied(
        `${said}: it does not know ${user}, or lets that user not in over the LAN; check ipmi_username`,
      )
    case rmcpStatus.invalidCheck:
      return new IpmiAccessDenied(`${said}: it has another password or key; check ipmi_password and ipmi_hex_kg_key`)
    case rmcpStatus.invalidRole:
    case rmcpStatus.unauthorizedRole:
      return new IpmiNoSession(
        `${said}: ${user} may not have privilege ${asked.privilege} with cipher suite ${asked.suite}; ` +
          'check ipmi_priv_level and ipmi_cipher_suite',
        status,
      )
    case rmcpStatus.insufficientResources:
    case rmcpStatus.insufficientForRole:
      return new IpmiNoSession(`${said}: others hold all sessions that it has`, status)
    default:
      return new IpmiNoSession(`${said}, asked for cipher suite ${asked.suite}; check ipmi_cipher_suite`, status)
  }
}
