/** What is wrong with the service itself, its settings, and what it leans on. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startPostgres } from '#db/test-server.ts'
import { ServiceProcess } from '#lab/service-process.ts'
import { run } from '#lib/run.ts'
import type { Explanation } from '#protocol/why.ts'
import { startFakeImageServer } from '../../../src/images/fake-image-server.ts'
import { startFakeObjectStore } from '../../../src/images/fake-object-store.ts'
import { instanceInfo, rawImage } from '../../../test/faults/images.ts'
import { serviceAddress } from '../cable.ts'
import type { BenchFault } from '../fault-case.ts'

const imageId = '5b4a1f7e-0c1d-4b8e-9a55-0a7d1f6f2b77'

export default [
  {
    name: 'no-ramdisk',
    broken: 'no deploy ramdisk is configured',
    on: 'bench',
    cause: 'settings-wrong',
    names: /a kernel without a ramdisk/,
    config: { conductor: { error_on_ramdisk_config_inconsistency: true } },
    async explained(bench) {
      const machine = await bench.plug()
      await bench.enrol(machine, { driverInfo: { deploy_ramdisk: '' } })
      await bench.reach(machine, 'manage', 'manageable')
      await bench.reach(machine, 'provide', 'available')
      await bench.ask(machine, 'active').catch(() => {}) // refused
      return (await bench.rests(machine)).why
    },
  },
  {
    name: 'ramdisk-unreachable',
    broken: "the deploy ramdisk's server is down",
    on: 'bench',
    cause: 'boot-file-unavailable',
    names: /deploy_ramdisk|10\.77\.0\.1:7/,
    async explained(bench) {
      const machine = await bench.available({ driverInfo: { deploy_ramdisk: `http://${serviceAddress}:7/ramdisk` } })
      const source = {
        image_source: `http://${serviceAddress}:8090/boot.ipxe`,
        image_checksum: '0'.repeat(64),
        image_disk_format: 'raw',
      }
      await bench.set(machine, '/instance_info', source)
      await bench.ask(machine, 'active').catch(() => {}) // refused at once, or failed later
      return (await bench.rests(machine)).why
    },
  },
  {
    name: 'store-full',
    broken: "the conductor's disk is full",
    on: 'bench',
    config: { agent: { command_timeout: 5, image_download_source: 'local' } },
    cause: 'image-store-full',
    names: /room|space|full/i,
    async explained(bench) {
      const content = rawImage({ sizeMib: 64, label: 'dos' })
      const server = await startFakeImageServer({ image: content }, { host: serviceAddress })
      bench.around.use(server)
      const folder = join(bench.directory, 'state/master-images')
      await bench.stopService()
      await rm(folder, { recursive: true, force: true })
      await mkdir(folder, { recursive: true })
      await run('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder])
      bench.around.defer(() => run('umount', ['--lazy', folder]).then(() => undefined))
      bench.around.defer(() => bench.stopService())
      await bench.configure({ agent: { command_timeout: 5, image_download_source: 'local' } })
      const machine = await bench.available()
      await bench.set(machine, '/instance_info', instanceInfo(`${server.url}/plain/image`, content))
      await bench.ask(machine, 'active').catch(() => {})
      return (await bench.rests(machine)).why
    },
  },
  {
    name: 'swift-key',
    broken: 'the object store refuses the key of temporary URLs',
    on: 'bench',
    cause: 'image-unreachable',
    names: /401|403|temporary URL|swift/i,
    async explained(bench) {
      const content = rawImage({ sizeMib: 8, label: 'dos' })
      const about = {
        disk_format: 'raw',
        container_format: 'bare',
        size: content.length,
        os_hash_algo: 'sha256',
        os_hash_value: instanceInfo('', content).image_os_hash_value,
      }
      const store = await startFakeObjectStore({
        key: 'the right key',
        digest: 'sha256',
        allowedDigests: ['sha256'],
        images: { [imageId]: { content, about } },
      })
      bench.around.use(store)
      bench.around.defer(() => bench.stopService())
      await bench.configure({
        agent: { command_timeout: 5, image_download_source: 'swift' },
        glance: {
          auth_type: 'none',
          endpoint_override: store.url,
          swift_temp_url_key: 'a wrong key',
          swift_endpoint_url: store.url,
          swift_account: 'AUTH_test',
          swift_container: 'glance',
        },
      })
      const machine = await bench.available()
      await bench.set(machine, '/instance_info', { image_source: imageId })
      await bench.ask(machine, 'active').catch(error => console.log(`   refused: ${String(error)}`))
      return (await bench.rests(machine)).why
    },
  },
  {
    name: 'maintenance',
    broken: 'an operator put the node in maintenance and asks for work',
    on: 'bench',
    cause: 'maintenance',
    names: /new fan/,
    async explained(bench) {
      const machine = await bench.available()
      await bench.api.put(`/v1/nodes/${machine.name}/maintenance`, { reason: 'new fan' })
      await bench.ask(machine, 'active').catch(() => {}) // refused
      return bench.why(machine)
    },
  },
  {
    name: 'driver-not-enabled',
    broken: "the node's driver is enabled nowhere any more",
    on: 'bench',
    cause: 'no-conductor',
    names: /drives "ipmi"/,
    async explained(bench) {
      const machine = await bench.available({ driver: 'ipmi' })
      bench.around.defer(() => bench.stopService())
      await bench.configure({ DEFAULT: { enabled_hardware_types: 'redfish' } })
      return bench.why(machine)
    },
  },
  {
    name: 'conductor-dead',
    broken: 'the conductor that works on the node is killed, and nobody takes over',
    on: 'bench',
    cause: 'conductor-gone',
    names: /of-group-one/,
    async explained(bench) {
      const database = await startPostgres()
      bench.around.defer(() => database.stop())
      bench.around.defer(() => bench.stopService())
      const connection = { connection: await database.create('why') }
      const membership = { heartbeat_interval: 1, heartbeat_timeout: 5 }
      await bench.configure({ database: connection, conductor: membership })
      // One that alone serves the group; it has no DHCP and no files to serve.
      const alone = await ServiceProcess.start({
        directory: join(bench.directory, 'alone'),
        endpoint: `http://${serviceAddress}:6390`,
        config: bench.config({
          DEFAULT: {
            host: 'of-group-one',
            my_ip: serviceAddress,
            state_path: join(bench.directory, 'alone/state'),
            enabled_hardware_types: 'redfish,ipmi',
          },
          database: connection,
          api: { port: 6390 },
          conductor: { ...membership, conductor_group: 'one' },
          ferrite: { manage_dnsmasq: false, http_serve: false },
        }),
      })
      bench.around.defer(() => alone.stop())
      const machine = await bench.plug()
      await bench.enrol(machine, { node: { conductor_group: 'one' } })
      machine.faults.delayMs = 1500
      await bench.ask(machine, 'manage')
      await bench.until('work begins', async () => (await bench.node(machine)).provision_state === 'verifying')
      await alone.kill('SIGKILL')
      let told: Explanation | undefined
      await bench.until('it is missed', async () => {
        told = await bench.why(machine)
        return told.cause === 'conductor-gone'
      })
      return told ?? bench.why(machine)
    },
  },
] satisfies BenchFault[]
