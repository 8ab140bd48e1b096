/**
 * Images of Glance: what Glance says of one, whether we may use it, and where its data is fetched. It fetches no data.
 * Source: images, sections 1 and 2; Image API v2 (ironic/common/glance_service restated).
 */
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { InvalidInput } from '#lib/fault.ts'
import { OpenstackUnavailable } from '#lib/openstack/keystone.ts'
import { ImageUnreachable } from './faults.ts'
import type { OpenstackService } from './openstack.ts'

const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(type: T) =>
  Type.Optional(Type.Union([type, Type.Null()]))

const GlanceDocument = Type.Object({
  id: Type.String(),
  status: Type.String(),
  visibility: Nullable(Type.String()),
  owner: Nullable(Type.String()),
  size: Nullable(Type.Integer()),
  /** MD5. */
  checksum: Nullable(Type.String()),
  os_hash_algo: Nullable(Type.String()),
  os_hash_value: Nullable(Type.String()),
  disk_format: Nullable(Type.String()),
  container_format: Nullable(Type.String()),
  updated_at: Nullable(Type.String()),
  tags: Nullable(Type.Array(Type.String())),
})
const document = Compile(GlanceDocument)
const members = Compile(Type.Object({ members: Type.Array(Type.Object({ member_id: Type.String() })) }))

/** An image as Glance describes it, and the properties that its owner gave it: kernel_id, img_type ... */
export type GlanceImage = Static<typeof GlanceDocument> & {
  readonly properties: Readonly<Record<string, unknown>>
  /** Of its data; it needs our token. */
  readonly dataUrl: string
}

const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** The ID in a UUID or glance:// reference; undefined when it is none of Glance. @throws InvalidInput when malformed */
export function glanceId(reference: string): string | undefined {
  if (uuid.test(reference)) return reference.toLowerCase()
  const [, named] = /^glance:\/\/(?:.*\/)?([^/]*)$/i.exec(reference) ?? []
  if (named === undefined) return undefined
  if (uuid.test(named)) return named.toLowerCase()
  throw new InvalidInput(
    `Cannot find the image: ${JSON.stringify(reference.slice(0, 200))} names no image of Glance; expected glance://UUID`,
  )
}

/**
 * What Glance says of the image.
 * @param forAdmin whether an administrator asks, who may use whatever our own login sees
 * @throws ImageUnreachable when there is none, it holds no data yet, or it is not for us; OpenstackUnavailable
 */
export async function showImage(
  glance: OpenstackService,
  id: string,
  { signal, forAdmin }: { signal: AbortSignal; forAdmin: boolean },
): Promise<GlanceImage> {
  const base = `${(await glance.endpoint()).replace(/\/v\d+(\.\d+)?$/, '')}/v2/images/${id}`
  const { status, body } = await glance.ask('GET', base, signal)
  const shown = `glance://${id}`
  if (status === 404 || status === 403) {
    throw new ImageUnreachable(
      `Cannot use image ${shown}: Glance answers ${status}; expected an image that the project of [glance] may see`,
    )
  }
  if (status !== 200 || !document.Check(body)) {
    throw new OpenstackUnavailable(
      `Glance at ${new URL(base).origin} does not show image ${shown}, it answers ${status}`,
    )
  }
  if (body.status !== 'active') {
    throw new ImageUnreachable(`Cannot use image ${shown}: it is ${body.status} in Glance; expected active`)
  }
  if (!forAdmin) await refuseForeign(glance, body, { base, shown, signal })
  const properties = Object.fromEntries(
    Object.entries(body).filter(([name]) => !Object.hasOwn(GlanceDocument.properties, name)),
  )
  return { ...body, properties, dataUrl: `${base}/file` }
}

/** Our service may see more than those who ask it for a deployment: only what is for all, ours, or shared with us. */
async function refuseForeign(
  glance: OpenstackService,
  { visibility, owner }: Static<typeof GlanceDocument>,
  { base, shown, signal }: { base: string; shown: string; signal: AbortSignal },
): Promise<void> {
  if (visibility === 'public' || visibility === 'community') return
  const project = await glance.projectId()
  // Without a login there are no projects to tell apart.
  if (project === null) return
  if (visibility === 'private' && owner === project) return
  if (visibility === 'shared') {
    if (owner === project) return
    const { status, body } = await glance.ask('GET', `${base}/members`, signal)
    if (status === 200 && members.Check(body) && body.members.some(({ member_id }) => member_id === project)) return
  }
  throw new ImageUnreachable(
    `Cannot use image ${shown}: it is ${visibility} and belongs to project ${owner}; expected it public, community, or shared with project ${project}, which is that of [glance]`,
  )
}
