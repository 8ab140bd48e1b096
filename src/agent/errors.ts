/**
 * Errors of the agent, under the names conductors know: the name travels as `command_error.type`, the number as its
 * `code` and as the HTTP status of a refused request. Nothing here decides what is retried.
 *
 * Source: openstack/ironic-python-agent `errors.py` (names, codes); the texts are ours.
 */
import { Fault, messageOf } from '#lib/fault.ts'
import type { CommandError } from '#protocol/agent.ts'

const types = {
  InvalidContentError: [400, 'Invalid request body'],
  InvalidCommandError: [400, 'Invalid command'],
  InvalidCommandParamsError: [400, 'Invalid command parameters'],
  NotFound: [404, 'Not found'],
  RequestedObjectNotFoundError: [404, 'Not found'],
  DeviceNotFound: [404, 'No device for this purpose'],
  ImageDownloadTimeoutError: [408, 'The image took too long to arrive'],
  AgentIsBusy: [409, 'Agent is busy'],
  VersionMismatch: [409, 'The hardware managers changed since the steps were listed'],
  CommandExecutionError: [500, 'Command failed'],
  ImageDownloadError: [500, 'The image could not be fetched'],
  ImageDownloadOutofSpaceError: [500, 'No room to keep the image while it is checked'],
  ImageChecksumError: [500, 'The image is not the one that was asked for'],
  ImageWriteError: [500, 'The image could not be written to the disk'],
  FileSystemNotSupported: [500, 'No program for this kind of file system'],
  InvalidImage: [500, 'The image is not acceptable'],
  SystemRebootError: [500, 'The machine would not stop'],
  BlockDeviceEraseError: [500, 'A disk could not be erased'],
  BlockDeviceError: [500, 'A block device failed'],
  ProtectedDeviceError: [500, 'A disk is protected'],
  SoftwareRAIDError: [500, 'Software RAID failed'],
  HardwareManagerNotFound: [500, 'No hardware manager fits this machine'],
  HardwareManagerMethodNotFound: [500, 'No hardware manager can do this'],
  IncompatibleHardwareMethodError: [500, 'Not possible on this hardware'],
  CleaningError: [500, 'Clean step failed'],
  DeploymentError: [500, 'Deploy step failed'],
  ServicingError: [500, 'Service step failed'],
  IronicAPIError: [500, 'The provisioning API refused'],
  HeartbeatError: [500, 'Heartbeat failed'],
  LookupNodeError: [500, 'The provisioning API does not know this machine'],
  LookupAgentIPError: [500, 'No address to be reached at'],
  VirtualMediaBootError: [500, 'The virtual media of this boot cannot be read'],
  ServiceLookupFailure: [500, 'The provisioning API was not found on this network'],
  InspectionError: [500, 'Inspection data could not be delivered'],
} as const satisfies Record<string, readonly [number, string]>

export type AgentErrorType = keyof typeof types

/** An error whose `type` a conductor knows; the message says what was attempted, then what was found. */
export class AgentFault extends Fault {
  readonly type: AgentErrorType
  readonly status: number
  readonly code: string

  constructor(type: AgentErrorType, details: string, options?: ErrorOptions) {
    super(details, options)
    this.type = type
    this.status = types[type][0]
    this.code = type.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()
  }
}

/** How an error of any kind stands in a command's result. */
export function commandError(error: unknown): CommandError {
  const type = error instanceof AgentFault ? error.type : 'CommandExecutionError'
  return { type, code: types[type][0], message: types[type][1], details: messageOf(error) }
}

/** Gives errors that have no name a conductor knows the name `type`; the others stay as they are. */
export function named(type: AgentErrorType, error: unknown): AgentFault {
  return error instanceof AgentFault ? error : new AgentFault(type, messageOf(error), { cause: error })
}
