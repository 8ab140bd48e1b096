/**
 * The world of one scenario: the virtual lab with a machine, our service in it, the lab's Debian image, and a place for
 * the real servers that the scenario adds. Everything runs inside the lab's network namespace and ends with it.
 */
import assert from 'node:assert/strict'
import { dirname } from 'node:path'
import { buildDebianImage, type DebianImage } from '#lab/debian-image.ts'
import type { Sections } from '#lab/service-process.ts'
import { bootLimitMs, World } from '../../test/vm/world.ts'
import { PlaceInLab } from './place-in-lab.ts'
import type { Scenario } from './scenario.ts'

export class DeployWorld extends PlaceInLab {
  /** Lab, machine, service and node, for all that is not here. */
  readonly lab: World
  /** Raw and qcow2, with sizes and checksums; it says `HOSTNAME login:` on the serial port. */
  readonly image: DebianImage
  /** What the run learned that belongs in its line of the table. */
  readonly notes: string[] = []

  private constructor(lab: World, image: DebianImage) {
    super(lab.lab, lab.directory)
    this.lab = lab
    this.image = image
  }

  static async open({ name, machine }: Scenario): Promise<DeployWorld> {
    const image = await buildDebianImage({ log: line => console.log(line) })
    const imageFolders = [dirname(image.raw), ...(machine?.imageFolders ?? [])]
    const lab = await World.open({ firmware: 'uefi', ...machine, name: `interop-${name}`, imageFolders })
    return new DeployWorld(lab, image)
  }

  override async close(): Promise<void> {
    await super.close()
    await this.lab.close()
  }

  /** Starts the service anew with these options, on the same state. */
  configure(config: Sections): Promise<void> {
    return this.lab.startService(config)
  }

  /** Enrols the machine and makes it available, without a boot: what is on its disk is overwritten anyway. */
  async makeAvailable(driverInfo: Record<string, string> = {}): Promise<void> {
    await this.makeManageable(driverInfo)
    await this.lab.bring('provide', 'available')
  }

  /** Enrols the machine, for a scenario that has something done to it first. */
  async makeManageable(driverInfo: Record<string, string> = {}): Promise<void> {
    const { lab } = this
    await lab.enrol(driverInfo)
    await lab.bring('manage', 'manageable')
    await lab.service.api.create('/v1/ports', { node_uuid: lab.uuid, address: lab.machine.nics[0]?.mac })
    await lab.change('/automated_clean', false)
  }

  /**
   * Deploys, and waits for the login prompt that shows the host name of the config drive.
   * @param instanceInfo the whole instance_info
   * @param verb `rebuild` for a node that is active
   */
  async deploy(
    instanceInfo: Readonly<Record<string, unknown>>,
    { hostname, verb = 'active' }: { hostname: string; verb?: 'active' | 'rebuild' },
  ): Promise<void> {
    const { lab } = this
    await lab.change('/instance_info', instanceInfo)
    const from = await lab.serialSize()
    const began = performance.now()
    const node = await lab.bring(verb, 'active', { configdrive: { meta_data: { hostname } } })
    assert.equal(node.last_error, null)
    const activeS = seconds(began)
    await lab.says(new RegExp(`^${hostname} login: `, 'm'), from, bootLimitMs)
    this.notes.push(
      `${verb === 'active' ? 'deployed' : 'rebuilt'} in ${activeS} s, login prompt after ${seconds(began)} s`,
    )
  }

  /** instance_info of the lab's image by such a reference: checksum and format are those of the file. */
  imageAt(source: string, format: 'raw' | 'qcow2' = 'raw'): Record<string, unknown> {
    return {
      image_source: source,
      image_os_hash_algo: 'sha256',
      image_os_hash_value: this.image.manifest[format].sha256,
      image_disk_format: format,
    }
  }
}

const seconds = (began: number) => ((performance.now() - began) / 1000).toFixed(0)
