/**
 * The messages a Redfish service answers with: ids of DMTF's Base registry, each with the HTTP status it goes with and
 * our words. Errors are thrown as `RedfishError` and turned into a body in one place.
 *
 * Source: DMTF DSP0266 "Error responses"; DSP8011 (Base message registry)
 */
const REGISTRY = 'Base.1.18'

interface Message {
  status: number
  severity: 'OK' | 'Warning' | 'Critical'
  /** `%1`, `%2` are the arguments. */
  text: string
  resolution: string
}

const messages = {
  Success: { status: 200, severity: 'OK', text: 'The request was carried out.', resolution: 'None.' },
  GeneralError: {
    status: 500,
    severity: 'Critical',
    text: 'The BMC failed while it worked on the request: %1',
    resolution: 'See the log of the lab.',
  },
  NoValidSession: {
    status: 401,
    severity: 'Critical',
    text: 'The request carries no valid session token and no valid user name and password.',
    resolution: 'Make a session, or send the account with the request.',
  },
  ResourceMissingAtURI: {
    status: 404,
    severity: 'Critical',
    text: 'There is no resource at %1.',
    resolution: 'Take addresses from the links of the service root.',
  },
  OperationNotAllowed: {
    status: 405,
    severity: 'Critical',
    text: 'The method %1 is not allowed on %2.',
    resolution: 'Use one of the methods that the Allow header lists.',
  },
  MalformedJSON: {
    status: 400,
    severity: 'Critical',
    text: 'The body of the request is not a JSON object: %1',
    resolution: 'Send a JSON object.',
  },
  UnrecognizedRequestBody: {
    status: 413,
    severity: 'Critical',
    text: 'The body of the request has more than %1 bytes.',
    resolution: 'Send less.',
  },
  PropertyUnknown: {
    status: 400,
    severity: 'Warning',
    text: 'The property %1 does not exist in this resource.',
    resolution: 'Remove the property.',
  },
  PropertyNotWritable: {
    status: 400,
    severity: 'Warning',
    text: 'The property %1 is read-only.',
    resolution: 'Remove the property.',
  },
  PropertyValueNotInList: {
    status: 400,
    severity: 'Warning',
    text: 'The value %1 of the property %2 is not among those accepted: %3.',
    resolution: 'Use one of the accepted values.',
  },
  PropertyValueTypeError: {
    status: 400,
    severity: 'Warning',
    text: 'The value %1 of the property %2 is of another type than expected: %3.',
    resolution: 'Correct the value.',
  },
  PropertyValueConflict: {
    status: 400,
    severity: 'Warning',
    text: 'The property %1 cannot have the value %2: %3.',
    resolution: 'Correct the request.',
  },
  ActionParameterMissing: {
    status: 400,
    severity: 'Critical',
    text: 'The action %1 needs the parameter %2.',
    resolution: 'Add the parameter.',
  },
  ActionParameterUnknown: {
    status: 400,
    severity: 'Warning',
    text: 'The action %1 has no parameter %2.',
    resolution: 'Remove the parameter.',
  },
  ActionParameterValueNotInList: {
    status: 400,
    severity: 'Warning',
    text: 'The value %1 of the parameter %2 of the action %3 is not among those accepted: %4.',
    resolution: 'Use one of the accepted values.',
  },
  ActionParameterValueError: {
    status: 400,
    severity: 'Warning',
    text: 'The parameter %1 of the action %2 has a wrong value: %3',
    resolution: 'Correct the value.',
  },
  CouldNotEstablishConnection: {
    status: 400,
    severity: 'Critical',
    text: 'The BMC could not fetch what it was told to: %1',
    resolution: 'See that the address is right and reachable from the BMC.',
  },
  ResourceInStandby: {
    status: 409,
    severity: 'Critical',
    text: 'The machine is %1: %2 is not possible now.',
    resolution: 'Bring the machine to another power state first.',
  },
  PreconditionFailed: {
    status: 412,
    severity: 'Critical',
    text: 'The resource has changed: its ETag is %1, the request is for %2.',
    resolution: 'Read the resource again and repeat the request.',
  },
  SessionLimitExceeded: {
    status: 503,
    severity: 'Critical',
    text: 'All %1 sessions of the BMC are in use.',
    resolution: 'End sessions that are not needed.',
  },
  ServiceTemporarilyUnavailable: {
    status: 503,
    severity: 'Critical',
    text: 'The BMC is busy; try again in %1 seconds.',
    resolution: 'Wait, then repeat the request.',
  },
} satisfies Record<string, Message>

export type MessageId = keyof typeof messages

/** A request that ends with an error, in the words of the registry. */
export class RedfishError extends Error {
  readonly id: MessageId
  readonly args: readonly string[]

  constructor(id: MessageId, ...args: string[]) {
    super(render(id, args).Message)
    this.id = id
    this.args = args
  }

  get status(): number {
    return messages[this.id].status
  }

  /** The body of the reply. `related` points into the resource the message is about. */
  body(): Record<string, unknown> {
    const info = render(this.id, this.args)
    return { error: { code: info.MessageId, message: info.Message, '@Message.ExtendedInfo': [info] } }
  }
}

function render(id: MessageId, args: readonly string[]) {
  const { text, severity, resolution } = messages[id]
  return {
    '@odata.type': '#Message.v1_1_2.Message',
    MessageId: `${REGISTRY}.${id}`,
    Message: text.replace(/%(\d)/g, (_, place: string) => args[Number(place) - 1] ?? ''),
    MessageArgs: [...args],
    Severity: severity,
    MessageSeverity: severity,
    Resolution: resolution,
  }
}
