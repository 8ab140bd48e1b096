/** A disk image out of a real registry: the machine fetches the blob by itself, with a right that the service got for it. */
import { forRegistry } from '#lab/host-packages.ts'
import { startRegistry } from '../registry.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'direct-oci',
  title: 'direct, image_source oci://: artifact of docker-registry of Debian, image_pull_secret of the instance',
  packages: forRegistry,
  async run(world) {
    const registry = await startRegistry(world)
    const { raw, qcow2, manifest } = world.image
    await registry.push('team/debian', '12', [
      { file: qcow2, sha256: manifest.qcow2.sha256, disktype: 'qcow2', architecture: 'amd64' },
      { file: raw, sha256: manifest.raw.sha256, disktype: 'raw', architecture: 'amd64' },
    ])
    await world.configure({ oci: { permit_fallback_to_http_transport: true } })
    await world.makeAvailable()
    const image_source = `oci://${registry.host}/team/debian:12`
    await world.deploy({ image_source, image_pull_secret: registry.pullSecret }, { hostname: 'oci-1' })
  },
} satisfies Scenario
