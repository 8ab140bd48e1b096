/**
 * A Redfish service for one machine: from a request to a response, without a socket. The lab's BMCs put HTTPS in front
 * of it, a simulation calls it. It does what a BMC of today does, strictly: what it does not know it refuses by name,
 * so that a client's mistake shows here rather than on the customer's hardware.
 *
 * Source: DMTF DSP0266 (protocol) 1.18, DSP2046 (resources)
 */
import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { Fault, messageOf } from '#lib/fault.ts'
import type { Board } from './board/board.ts'
import { type BootEnabled, type BootTarget, type Hardware, type ResetType, resetTypes } from './hardware.ts'
import { RedfishError } from './messages.ts'
import {
  bios,
  CHASSIS,
  chassis,
  drive,
  ethernetInterface,
  MANAGER,
  MEDIA,
  MEDIA_METHODS,
  MEDIA_PROTOCOLS,
  MEDIA_SOCKET,
  manager,
  nicIds,
  odataDocument,
  processor,
  type Resource,
  ROOT,
  SCREEN_SOCKET,
  SERIAL_SOCKET,
  SESSIONS,
  SYSTEM,
  serviceRoot,
  session as sessionResource,
  sessionService,
  simpleStorage,
  storage,
  system,
  virtualMedia,
} from './resources.ts'
import { at, type Body, type Call, json, members, noContent, parameters, type Route } from './routes.ts'
import { patchSecureBoot, secureBoot } from './secure-boot.ts'
import { sensorLinks, sensorResource } from './sensor-resources.ts'
import { type Account, Sessions } from './sessions.ts'

export interface RedfishOptions {
  hardware: Hardware
  account: Account
  /** Milliseconds since the epoch; sessions expire by it. */
  now: () => number
  /** What only a BMC sees of a server: BIOS settings, firmware, RAID … Absent: nothing of it. */
  board?: Board
}

export interface RedfishService {
  (request: Request): Promise<Response>
  /**
   * What is done with the stream that a request for a WebSocket asks for. Absent: no path has one.
   * @throws RedfishError
   */
  readonly connect?: ((request: Request) => (stream: Duplex) => void) | undefined
}

const METHODS = { GET: 'get', HEAD: 'get', PATCH: 'patch', POST: 'post', DELETE: 'delete' } as const
const MAX_BODY_BYTES = 1 << 20
const bootEnabled: readonly BootEnabled[] = ['Disabled', 'Once', 'Continuous']

/** Makes the service of one BMC; its sessions live as long as it does. */
export function redfishService({ hardware, account, now, board }: RedfishOptions): RedfishService {
  const sessions = new Sessions(account, now)
  const routes = [...(board?.routes ?? []), ...routesOf(hardware, sessions, board)]

  return Object.assign(serve, { connect })

  async function serve(request: Request): Promise<Response> {
    try {
      return await answer(request)
    } catch (error) {
      if (error instanceof RedfishError) return failure(error)
      return failure(new RedfishError('GeneralError', messageOf(error)))
    }
  }

  function connect(request: Request): (stream: Duplex) => void {
    sessions.authenticate(request.headers)
    const path = new URL(request.url).pathname
    const open = streamsOf(hardware)[path]
    if (open === undefined) throw new RedfishError('ResourceMissingAtURI', path)
    return open
  }

  async function answer(request: Request): Promise<Response> {
    const path = decodeURIComponent(new URL(request.url).pathname).replace(/(.)\/+$/, '$1')
    const route = routes.find(candidate => candidate.path.test(path))
    const open = route?.open === true || (path === SESSIONS && request.method === 'POST')
    if (!open) sessions.authenticate(request.headers)
    if (route === undefined) throw new RedfishError('ResourceMissingAtURI', path)

    const method = Object.hasOwn(METHODS, request.method) ? METHODS[request.method as keyof typeof METHODS] : undefined
    if (method === undefined || route[method] === undefined) {
      const response = failure(new RedfishError('OperationNotAllowed', request.method, path))
      response.headers.set('Allow', allowed(route))
      return response
    }
    const call: Call = {
      headers: request.headers,
      id: route.path.exec(path)?.[1] ?? '',
      body: method === 'patch' || method === 'post' ? await readBody(request) : {},
    }
    if (method === 'post') return (await route.post?.(call)) ?? noContent()
    const shown = () => {
      const resource = route.get?.(call) ?? null
      return resource === null ? null : { ...resource, ...board?.adds(path) }
    }
    const resource = shown()
    if (resource === null) throw new RedfishError('ResourceMissingAtURI', path)
    if (method === 'delete') return route.delete?.(call) ?? noContent()
    if (method === 'get') return readReply(resource, route, request)

    const wanted = request.headers.get('if-match')
    const etag = etagOf(resource)
    if (wanted !== null && wanted !== '*' && !wanted.split(/\s*,\s*/).includes(etag)) {
      throw new RedfishError('PreconditionFailed', etag, wanted)
    }
    await route.patch?.(call)
    const changed = shown() ?? resource
    return json(200, changed, { ETag: etagOf(changed) })
  }
}

function routesOf(hardware: Hardware, sessions: Sessions, board: Board | undefined): Route[] {
  return [
    { path: at('/redfish'), open: true, get: () => ({ v1: `${ROOT}/` }) },
    { path: at(ROOT), open: true, get: () => serviceRoot(hardware) },
    { path: at(`${ROOT}/odata`), open: true, get: () => odataDocument() },

    members(`${ROOT}/Systems`, 'ComputerSystem', () => ['1']),
    { path: at(SYSTEM), get: () => system(hardware), patch: ({ body }) => patchSystem(hardware, body, board) },
    { path: at(`${SYSTEM}/Actions/ComputerSystem.Reset`), post: ({ body }) => reset(hardware, body, board) },
    { path: at(`${SYSTEM}/Bios`), get: () => bios(hardware) },
    ...(hardware.facts.bootMode === 'UEFI' ? [secureBootRoute(hardware)] : []),
    members(`${SYSTEM}/Processors`, 'Processor', () => ['CPU.1']),
    { path: at(`${SYSTEM}/Processors/CPU.1`), get: () => processor(hardware) },
    members(`${SYSTEM}/EthernetInterfaces`, 'EthernetInterface', () => nicIds(hardware)),
    { path: at(`${SYSTEM}/EthernetInterfaces/*`), get: ({ id }) => ethernetInterface(hardware, id) },
    members(`${SYSTEM}/SimpleStorage`, 'SimpleStorage', () => ['1']),
    { path: at(`${SYSTEM}/SimpleStorage/1`), get: () => simpleStorage(hardware) },
    members(`${SYSTEM}/Storage`, 'Storage', () => (board ? ['1', board.volumes.id] : ['1'])),
    { path: at(`${SYSTEM}/Storage/1`), get: () => storage(hardware) },
    { path: at(`${SYSTEM}/Storage/1/Drives/*`), get: ({ id }) => drive(hardware, id) },

    members(`${ROOT}/Managers`, 'Manager', () => ['1']),
    { path: at(MANAGER), get: () => manager(hardware) },
    members(`${MANAGER}/VirtualMedia`, 'VirtualMedia', () => ['Cd']),
    { path: at(MEDIA), get: () => virtualMedia(hardware) },
    { path: at(`${MEDIA}/Actions/VirtualMedia.InsertMedia`), post: ({ body }) => insertMedia(hardware, body) },
    { path: at(`${MEDIA}/Actions/VirtualMedia.EjectMedia`), post: ({ body }) => ejectMedia(hardware, body) },

    members(`${ROOT}/Chassis`, 'Chassis', () => ['1']),
    {
      path: at(CHASSIS),
      get: () => chassis(hardware, sensorLinks(hardware)),
      ...(board ? { patch: ({ body }: Call) => board.switchLight(CHASSIS, body) } : {}),
    },
    {
      path: new RegExp(`^${CHASSIS}/((?:Thermal|Power).*)$`),
      get: ({ id }) => sensorResource(hardware, id),
    },

    { path: at(`${ROOT}/SessionService`), get: () => sessionService() },
    {
      ...members(SESSIONS, 'Session', () => sessions.list().map(({ id }) => id)),
      post: ({ body }) => createSession(sessions, body),
    },
    {
      path: at(`${SESSIONS}/*`),
      get: ({ id }) => {
        const session = sessions.find(id)
        return session === undefined ? null : sessionResource(session)
      },
      delete: ({ id }) => {
        const session = sessions.find(id)
        if (session !== undefined) sessions.delete(session)
        return noContent()
      },
    },
  ]
}

/** What is at paths that are WebSockets. */
function streamsOf(hardware: Hardware): Record<string, (stream: Duplex) => void> {
  return {
    // Who sends no image hears of it by the end of the stream.
    ...(hardware.streamMedia && {
      [MEDIA_SOCKET]: stream => void hardware.streamMedia?.(stream).catch(() => stream.destroy()),
    }),
    ...(hardware.serial && { [SERIAL_SOCKET]: stream => plug(hardware, stream) }),
    ...(hardware.openScreen && { [SCREEN_SOCKET]: stream => show(hardware, stream) }),
  }
}

function plug({ serial }: Hardware, person: Duplex): void {
  const unplug = serial?.listen(characters => person.write(characters))
  person.on('data', (typed: Buffer) => serial?.type(typed))
  person.on('error', () => person.destroy())
  person.once('close', () => unplug?.())
}

function show(hardware: Hardware, viewer: Duplex): void {
  viewer.on('error', () => viewer.destroy())
  try {
    const screen = hardware.openScreen?.()
    screen?.on('error', () => viewer.destroy())
    viewer.once('close', () => screen?.destroy())
    screen?.once('close', () => viewer.destroy())
    if (screen) viewer.pipe(screen).pipe(viewer)
  } catch {
    viewer.destroy()
  }
}

const secureBootRoute = (hardware: Hardware): Route => ({
  path: at(`${SYSTEM}/SecureBoot`),
  get: () => secureBoot(hardware),
  patch: ({ body }) => patchSecureBoot(hardware, body),
})

function reset(hardware: Hardware, body: Body, board: Board | undefined): Response {
  const action = 'ComputerSystem.Reset'
  const { ResetType: type } = parameters(action, body, ['ResetType'])
  if (!resetTypes.includes(type as ResetType)) {
    throw new RedfishError(
      'ActionParameterValueNotInList',
      JSON.stringify(type),
      'ResetType',
      action,
      resetTypes.join(', '),
    )
  }
  const resetType = type as ResetType // just found in the list
  const power = hardware.power()
  const needsPower = ['GracefulShutdown', 'GracefulRestart', 'ForceRestart', 'PowerCycle', 'Nmi'].includes(resetType)
  if (needsPower && power === 'Off') throw new RedfishError('ResourceInStandby', power, resetType)
  hardware.reset(resetType)
  board?.onReset(resetType)
  return noContent()
}

/** Boot overrides are all that can be changed; either the whole change is made or nothing. */
async function patchSystem(hardware: Hardware, body: Body, board: Board | undefined): Promise<void> {
  if (board && 'LocationIndicatorActive' in body) return board.switchLight(SYSTEM, body)
  for (const [name, value] of Object.entries(body)) {
    if (name === 'Boot') continue
    throw new RedfishError(
      Object.hasOwn(system(hardware), name) ? 'PropertyNotWritable' : 'PropertyUnknown',
      name,
      `${value}`,
    )
  }
  const boot = body.Boot
  if (typeof boot !== 'object' || boot === null || Array.isArray(boot)) {
    throw new RedfishError('PropertyValueTypeError', JSON.stringify(boot ?? null), 'Boot', 'an object')
  }
  const now = hardware.boot()
  let { enabled, target, url } = now
  for (const [name, value] of Object.entries(boot)) {
    switch (name) {
      case 'BootSourceOverrideEnabled':
        enabled = oneOf(name, value, bootEnabled)
        break
      case 'BootSourceOverrideTarget':
        target = oneOf<BootTarget>(name, value, hardware.facts.bootTargets)
        // Naming a target alone means "the next time", as most BMCs take it.
        if (!('BootSourceOverrideEnabled' in boot) && enabled === 'Disabled' && target !== 'None') enabled = 'Once'
        break
      case 'BootSourceOverrideMode':
        checkMode(hardware, value)
        break
      case 'HttpBootUri':
        url = bootUrl(hardware, value)
        break
      default:
        throw new RedfishError('PropertyUnknown', `Boot/${name}`)
    }
  }
  if (enabled === 'Disabled' || target === 'None') [enabled, target] = ['Disabled', 'None']
  const isSame = enabled === now.enabled && target === now.target && url === now.url
  if (isSame && enabled !== 'Once') return
  await hardware.setBoot({ enabled, target, ...(target === 'UefiHttp' && url !== undefined ? { url } : {}) })
}

/** @returns undefined: what DHCP tells */
function bootUrl({ facts }: Hardware, value: unknown): string | undefined {
  const name = 'Boot/HttpBootUri'
  if (!facts.bootTargets.includes('UefiHttp')) throw new RedfishError('PropertyUnknown', name)
  if (value === null || value === '') return undefined
  if (typeof value === 'string' && URL.canParse(value)) return value
  throw new RedfishError('PropertyValueTypeError', JSON.stringify(value), name, 'a URL')
}

function checkMode(hardware: Hardware, value: unknown): void {
  const { bootMode } = hardware.facts
  if (value === bootMode) return
  const name = 'Boot/BootSourceOverrideMode'
  if (value !== 'UEFI' && value !== 'Legacy') {
    throw new RedfishError('PropertyValueNotInList', JSON.stringify(value), name, bootMode)
  }
  throw new RedfishError(
    'PropertyValueConflict',
    name,
    value,
    `this machine has ${bootMode} firmware only and its boot mode cannot be changed`,
  )
}

async function insertMedia(hardware: Hardware, body: Body): Promise<Response> {
  const action = 'VirtualMedia.InsertMedia'
  const optional = [
    'Inserted',
    'WriteProtected',
    'TransferProtocolType',
    'TransferMethod',
    'UserName',
    'Password',
    'MediaType',
  ]
  const { Image: image, ...rest } = parameters(action, body, ['Image'], optional)
  if (typeof image !== 'string') throw new RedfishError('ActionParameterValueError', 'Image', action, 'expected a URL')
  if (rest.WriteProtected === false) {
    throw new RedfishError('ActionParameterValueError', 'WriteProtected', action, 'a CD cannot be written')
  }
  checkTransfer(action, 'TransferProtocolType', rest.TransferProtocolType, MEDIA_PROTOCOLS)
  checkTransfer(action, 'TransferMethod', rest.TransferMethod, MEDIA_METHODS)
  const { UserName: username, Password: password } = rest
  const login = typeof username === 'string' ? { username, password: `${password ?? ''}` } : undefined
  if (hardware.media() !== null) {
    throw new RedfishError('ActionParameterValueError', 'Image', action, 'a medium is inserted; eject it first')
  }
  try {
    await hardware.insertMedia(image, login)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    throw new RedfishError('CouldNotEstablishConnection', error.message)
  }
  return noContent()
}

function checkTransfer(action: string, name: string, value: unknown, known: readonly string[]): void {
  if (value === undefined || value === null || known.includes(`${value}`)) return
  throw new RedfishError('ActionParameterValueNotInList', JSON.stringify(value), name, action, known.join(', '))
}

async function ejectMedia(hardware: Hardware, body: Body): Promise<Response> {
  parameters('VirtualMedia.EjectMedia', body, [])
  await hardware.ejectMedia()
  return noContent()
}

function createSession(sessions: Sessions, body: Body): Response {
  const { UserName: username, Password: password } = parameters('Sessions', body, ['UserName', 'Password'], ['Context'])
  const session = sessions.create(String(username), String(password))
  const resource = sessionResource(session)
  return json(201, resource, { Location: `${SESSIONS}/${session.id}`, 'X-Auth-Token': session.token })
}

function oneOf<T extends string>(name: string, value: unknown, values: readonly T[]): T {
  const found = values.find(candidate => candidate === value)
  if (found !== undefined) return found
  throw new RedfishError('PropertyValueNotInList', JSON.stringify(value), `Boot/${name}`, values.join(', '))
}

async function readBody(request: Request): Promise<Body> {
  const text = await request.text()
  if (text.length > MAX_BODY_BYTES) throw new RedfishError('UnrecognizedRequestBody', `${MAX_BODY_BYTES}`)
  if (text.trim() === '') return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new RedfishError('MalformedJSON', messageOf(error))
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RedfishError('MalformedJSON', 'it is another value')
  }
  return value as Body // a JSON object has string keys
}

function readReply(resource: Resource, route: Route, request: Request): Response {
  const etag = etagOf(resource)
  const headers = { ETag: etag, Allow: allowed(route) }
  if (request.headers.get('if-none-match') === etag) return new Response(null, { status: 304, headers })
  return json(200, resource, headers)
}

/** The resource's content as a strong validator. A clock in it must not count. */
function etagOf({ DateTime: _, ...resource }: Resource): string {
  return `"${createHash('sha256').update(JSON.stringify(resource)).digest('hex').slice(0, 16)}"`
}

function allowed(route: Route): string {
  const methods = ['GET', 'HEAD', 'PATCH', 'POST', 'DELETE'] as const
  return methods.filter(method => route[METHODS[method]] !== undefined).join(', ')
}

function failure(error: RedfishError): Response {
  const response = json(error.status, error.body())
  if (error.status === 401) response.headers.set('WWW-Authenticate', 'Basic realm="Redfish"')
  return response
}
