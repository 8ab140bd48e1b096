/**
 * Disk images in OCI registries: which manifest of a reference is the image for a node, and what its one layer is. The
 * registry is spoken to in oci-registry.ts.
 * Source: images, section 2, OCI (ironic/common/image_service.py restated); OCI image specification 1.1, manifest and index.
 */
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { InvalidInput } from '#lib/fault.ts'
import type { Checksum } from './checksum.ts'
import { ImageRefused } from './faults.ts'
import { manifestTypes, type OciRegistry } from './oci-registry.ts'

export interface OciReference {
  readonly kind: 'oci'
  /** With its port, if it has one. */
  readonly host: string
  readonly repository: string
  /** A tag, or `sha256:...`, `sha512:...`. */
  readonly reference: string
  /** As messages name it. */
  readonly shown: string
}

export interface OciImage {
  readonly blobUrl: string
  readonly checksum: Checksum
  readonly sizeBytes: number | null
  /** null where nothing tells: a manifest that was named by its digest. */
  readonly diskFormat: 'raw' | 'qcow2' | null
  readonly compression: 'zstd' | 'gzip' | null
}

/** @throws InvalidInput when it is malformed */
export function ociReference(text: string): OciReference {
  const [, host, repository, tag, digest] =
    /^oci:\/\/([^/@\s]+)\/([a-z0-9._\-/]+?)(?::([A-Za-z0-9_][A-Za-z0-9._-]*))?(?:@((?:sha256|sha512):[0-9a-f]+))?$/.exec(
      text.replace(/^oci:/i, 'oci:'),
    ) ?? []
  const isWhole = digest === undefined || digest.length === (digest.startsWith('sha256:') ? 7 + 64 : 7 + 128)
  if (host === undefined || repository === undefined || !isWhole) {
    throw new InvalidInput(
      `Cannot find the image: ${JSON.stringify(text.slice(0, 200))} names nothing in a registry; expected oci://HOST/PATH:TAG or oci://HOST/PATH@sha256:DIGEST`,
    )
  }
  return { kind: 'oci', host, repository, reference: digest ?? tag ?? 'latest', shown: text }
}

const Descriptor = Type.Object({
  mediaType: Type.Optional(Type.String()),
  digest: Type.String({ pattern: '^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$' }),
  size: Type.Optional(Type.Integer()),
  annotations: Type.Optional(Type.Record(Type.String(), Type.String())),
})
const Indexed = Type.Object({
  ...Descriptor.properties,
  artifactType: Type.Optional(Type.String()),
  platform: Type.Optional(Type.Object({ architecture: Type.Optional(Type.String()) })),
})
const ManifestDocument = Type.Object({
  artifactType: Type.Optional(Type.String()),
  config: Type.Optional(Type.Object({ mediaType: Type.Optional(Type.String()) })),
  layers: Type.Array(Descriptor),
  annotations: Type.Optional(Type.Record(Type.String(), Type.String())),
})
const isIndex = Compile(Type.Object({ manifests: Type.Array(Indexed) }))
const isManifest = Compile(ManifestDocument)
type Manifest = Static<typeof ManifestDocument>

/** How dear a disktype is to us, the dearest first; one that is not there cannot be used. */
const orders = {
  /** What the conductor converts may as well be small on the way. */
  local: ['qcow2', 'qemu', 'raw', 'applehv'],
  /** What the agent fetches is best streamed to the disk. */
  http: ['raw', 'applehv', 'qcow2', 'qemu'],
} as const

/**
 * The disk image that a reference stands for, on a node of this architecture.
 * @param cpuArch properties cpu_arch of the node; undefined: any
 * @throws ImageRefused when there is none, saying what there is
 */
export async function chooseOciImage(
  registry: OciRegistry,
  reference: OciReference,
  { source, cpuArch }: { source: 'http' | 'local'; cpuArch: string | undefined },
): Promise<OciImage> {
  const { shown } = reference
  const first = await registry.manifest(reference.reference, [...manifestTypes.index, ...manifestTypes.manifest])
  if (isManifest.Check(first)) return imageOf(registry, first, { disktype: disktypeOf(first), shown })
  if (!isIndex.Check(first)) {
    throw new ImageRefused(`Cannot use image ${shown}: the registry's answer is neither a manifest nor an index`)
  }
  const candidates = first.manifests
    .filter(({ platform }) => fits(platform?.architecture, cpuArch))
    .map(entry => ({ entry, disktype: entry.annotations?.disktype }))
    .filter(({ disktype }) => disktype === undefined || (orders[source] as readonly string[]).includes(disktype))
    .sort((a, b) => rank(a.disktype, source) - rank(b.disktype, source))
  const refusals: string[] = []
  for (const { entry, disktype } of candidates) {
    const manifest = await registry.manifest(entry.digest, manifestTypes.manifest)
    if (!isManifest.Check(manifest)) continue
    try {
      return imageOf(registry, manifest, { disktype: disktype ?? disktypeOf(manifest), shown })
    } catch (error) {
      if (!(error instanceof ImageRefused)) throw error
      refusals.push(error.message)
    }
  }
  const found = first.manifests.map(({ platform, annotations }) => {
    return `${annotations?.disktype ?? 'no disktype'} for ${platform?.architecture ?? 'any architecture'}`
  })
  throw new ImageRefused(
    refusals[0] ??
      `Cannot use image ${shown}: it has ${found.join(', ') || 'no manifests'}; expected a disk image (annotation disktype ${orders[source].join(', ')})${cpuArch === undefined ? '' : ` for ${cpuArch}`}`,
  )
}

/** Is what a node of this architecture would get a container image, and no artifact? */
export async function standsForContainer(
  registry: OciRegistry,
  { reference }: OciReference,
  cpuArch: string | undefined,
): Promise<boolean> {
  const first = await registry.manifest(reference, [...manifestTypes.index, ...manifestTypes.manifest])
  if (!isIndex.Check(first)) return isManifest.Check(first) && !isArtifact(first)
  const entry = first.manifests.find(({ platform }) => fits(platform?.architecture, cpuArch))
  if (!entry || entry.annotations?.disktype !== undefined || entry.artifactType !== undefined) return false
  const manifest = await registry.manifest(entry.digest, manifestTypes.manifest)
  return isManifest.Check(manifest) && !isArtifact(manifest)
}

function isArtifact(manifest: Manifest): boolean {
  return manifest.artifactType !== undefined || manifest.config?.mediaType === 'application/vnd.oci.empty.v1+json'
}

function imageOf(
  registry: OciRegistry,
  manifest: Manifest,
  { disktype, shown }: { disktype: string | undefined; shown: string },
): OciImage {
  const [layer, more] = manifest.layers
  if (disktype === undefined && !isArtifact(manifest)) {
    throw new ImageRefused(
      `Cannot use image ${shown}: it is a container image, not a disk image; expected an artifact, or deploy_interface bootc`,
    )
  }
  if (!layer || more) {
    throw new ImageRefused(
      `Cannot use image ${shown}: its manifest has ${manifest.layers.length} layers; expected one, the disk image`,
    )
  }
  const [algo, value = ''] = layer.digest.split(':')
  const compression = /(zstd|gzip)$/.exec(layer.mediaType ?? '')?.[1]
  return {
    blobUrl: registry.blobUrl(layer.digest),
    // The schema knows no other algorithm.
    checksum: { algo: algo as 'sha256' | 'sha512', value },
    sizeBytes: layer.size ?? null,
    diskFormat: formatOf(disktype),
    compression: compression === 'zstd' || compression === 'gzip' ? compression : null,
  }
}

function disktypeOf({ annotations }: Manifest): string | undefined {
  return annotations?.disktype
}

function formatOf(disktype: string | undefined): 'raw' | 'qcow2' | null {
  if (disktype === undefined) return null
  return disktype === 'raw' || disktype === 'applehv' ? 'raw' : 'qcow2'
}

function rank(disktype: string | undefined, source: 'http' | 'local'): number {
  return disktype === undefined ? 100 : (orders[source] as readonly string[]).indexOf(disktype)
}

const architectures = [
  ['x86_64', 'amd64'],
  ['aarch64', 'arm64'],
]

function fits(offered: string | undefined, wanted: string | undefined): boolean {
  if (offered === undefined || offered === '' || wanted === undefined || wanted === '') return true
  const names = architectures.find(known => known.includes(wanted)) ?? [wanted]
  return names.includes(offered)
}
