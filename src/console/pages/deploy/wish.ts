/**
 * What the wizard was told: image, options, steps; and the requests that it comes to for a node. Nothing is asked here,
 * and nothing that a field leaves empty is set.
 */
import { verbTarget } from '#protocol/states.ts'
import type { FleetNode } from '../../fleet.ts'

export interface Wish {
  readonly source: string
  readonly checksum: string
  /** Empty: as the content of the image says. */
  readonly format: string
  /** Of the disk; of one node alone. */
  readonly rootSerial: string
  /** Of one node alone. */
  readonly hostName: string
  /** Each node's host name is its own name. */
  readonly isNamedByNode: boolean
  readonly userData: string
  /** Names of deploy templates. */
  readonly templates: readonly string[]
  /** Steps in JSON. */
  readonly steps: string
}

export const noWish: Wish = {
  source: '',
  checksum: '',
  format: '',
  rootSerial: '',
  hostName: '',
  isNamedByNode: false,
  userData: '',
  templates: [],
  steps: '',
}

type Target = Pick<FleetNode, 'name' | 'provision_state'>

/** The verb by which a node gets an image in its state; undefined where none does. */
export function deployVerb({ provision_state }: Pick<FleetNode, 'provision_state'>): 'active' | 'rebuild' | undefined {
  return (['active', 'rebuild'] as const).find(verb => verbTarget(provision_state, verb) !== undefined)
}

/** The node loses an instance by it. */
export const losesInstance = (node: Pick<FleetNode, 'provision_state'>) => deployVerb(node) === 'rebuild'

/** What is wrong with what was typed; undefined: nothing. */
export function checksumProblem({ checksum }: Pick<Wish, 'checksum'>): string | undefined {
  const text = checksum.trim()
  if (text === '' || /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || text.startsWith('/')) return undefined
  if (!/^[0-9a-f]+$/i.test(text)) return 'Expected hexadecimal digits, or a URL'
  return [32, 64, 128].includes(text.length)
    ? undefined
    : `Found ${text.length} digits; expected 64 of SHA-256, or 128 of SHA-512`
}

/** What is wrong with the steps; undefined: nothing. */
export function stepsProblem({ steps }: Pick<Wish, 'steps'>): string | undefined {
  if (steps.trim() === '') return undefined
  let list: unknown
  try {
    list = JSON.parse(steps)
  } catch (error) {
    return `That is no JSON: ${error instanceof Error ? error.message : String(error)}`
  }
  if (!Array.isArray(list) || list.length === 0) return 'Expected a list of one step at least'
  const wrong = list.findIndex(step => !isStep(step))
  return wrong < 0 ? undefined : `Step ${wrong + 1}: expected interface, step, args and priority`
}

function isStep(step: unknown): boolean {
  if (typeof step !== 'object' || step === null) return false
  const { interface: type, step: name, args, priority } = step as Record<string, unknown> // an object
  return typeof type === 'string' && typeof name === 'string' && typeof args === 'object' && Number.isInteger(priority)
}

/** Entries that the node's instance_info gets. */
export function instanceInfoOf({ source, checksum, format, rootSerial, templates }: Wish): Record<string, unknown> {
  const sum = checksum.trim()
  return {
    ...(source.trim() === '' ? {} : { image_source: source.trim() }),
    ...(sum === '' ? {} : checksumFields(sum)),
    ...(format === '' ? {} : { image_disk_format: format }),
    ...(rootSerial.trim() === '' ? {} : { root_device: { serial: rootSerial.trim() } }),
    ...(templates.length === 0 ? {} : { traits: templates }),
  }
}

/** MD5 and files of checksums go by the older field. Source: user guide, "instance_info". */
function checksumFields(sum: string): Record<string, string> {
  const algorithm = /^[0-9a-f]+$/i.test(sum) ? { 64: 'sha256', 128: 'sha512' }[sum.length] : undefined
  return algorithm ? { image_os_hash_algo: algorithm, image_os_hash_value: sum } : { image_checksum: sum }
}

/** The body of the verb, for this node. @throws SyntaxError for steps that stepsProblem() names */
export function bodyOf(wish: Wish, node: Target): Record<string, unknown> {
  const configdrive = configDriveOf(wish, node)
  return {
    target: deployVerb(node) ?? 'active',
    ...(configdrive ? { configdrive } : {}),
    ...(wish.steps.trim() === '' ? {} : { deploy_steps: JSON.parse(wish.steps) }),
  }
}

function configDriveOf({ hostName, isNamedByNode, userData }: Wish, { name }: Target): object | undefined {
  const host = isNamedByNode ? (name ?? '') : hostName.trim()
  if (host === '' && userData === '') return undefined
  return {
    meta_data: host === '' ? {} : { hostname: host, name: host },
    ...(userData === '' ? {} : { user_data: userData }),
  }
}
