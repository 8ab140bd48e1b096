/** `baremetal node …`: what a node is. Creating, reading, listing, changing and deleting; nothing here acts on machines. */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { Baremetal, type Row } from './baremetal.ts'
import { whyMissing } from './packages.ts'
import { conductor, type RunningService, startService } from './service.ts'

const unknown = '4b6f3f5c-93a3-4ae9-8c3a-0d2c9b4bb0a1'
const instance = '1f4ad6f0-90d2-4c0d-8c62-6e0e2a3c4b5d'

describe('baremetal node', { skip: await whyMissing(forClients) }, () => {
  let service: RunningService
  let client: Baremetal
  before(async () => {
    service = await startService()
    client = new Baremetal(service)
  })
  after(() => service[Symbol.asyncDispose]())

  test('create prints the node with every option given, and show prints the same', async () => {
    const created = await client.show(
      'node create --driver fake-hardware --name all-1 --uuid 7d9f2a4e-1c55-4f6b-9a3d-5be8f1c0aa01',
      ...'--driver-info fake_address=here --driver-info fake_password=very-secret'.split(' '),
      ...'--property cpus=4 --property memory_mb=2048 --property capabilities=boot_mode:uefi'.split(' '),
      ...['--extra', 'rack=4', '--extra', 'where={"room": [1, null, true]}', '--conductor-group', ''],
      ...'--resource-class big'.split(' '),
      ...'--boot-interface fake --deploy-interface fake --network-interface noop --raid-interface fake'.split(' '),
      '--automated-clean',
    )
    assert.partialDeepStrictEqual(created, {
      uuid: '7d9f2a4e-1c55-4f6b-9a3d-5be8f1c0aa01',
      name: 'all-1',
      driver: 'fake-hardware',
      driver_info: { fake_address: 'here', fake_password: '******' },
      properties: { cpus: 4, memory_mb: 2048, capabilities: 'boot_mode:uefi' },
      extra: { rack: 4, where: { room: [1, null, true] } },
      resource_class: 'big',
      conductor_group: '',
      conductor,
      boot_interface: 'fake',
      network_interface: 'noop',
      automated_clean: true,
      provision_state: 'enroll',
      target_provision_state: null,
      power_state: null,
      maintenance: false,
      traits: [],
    })
    assert.deepEqual(await client.show('node show all-1'), created)
    assert.deepEqual(await client.show(`node show ${String(created.uuid)}`), created)
    const some = await client.show('node show all-1 --fields name properties provision_state')
    assert.deepEqual(some, { name: 'all-1', properties: created.properties, provision_state: 'enroll' })
    assert.match(await client.ok('node show all-1'), /^\| resource_class +\| big +\|$/m)
    // In the order asked for, or of the alphabet: clients of two years differ.
    const two = (await client.ok('node show all-1 -f value -c uuid -c name')).trim().split('\n')
    assert.deepEqual(new Set(two), new Set(['all-1', created.uuid]))
  })

  test('create refuses what it cannot take, and says why', async () => {
    await client.once.fails(/409/, 'node create --driver fake-hardware --name all-1')
    await client.once.fails(/409/, 'node create --driver fake-hardware --uuid 7d9f2a4e-1c55-4f6b-9a3d-5be8f1c0aa01')
    await client.fails(/no-such-driver.*400/s, 'node create --driver no-such-driver --name x1')
    await client.fails(/400/, 'node create --driver fake-hardware --name', 'not a name')
    await client.fails(/400/, 'node create --driver fake-hardware --name x1 --uuid not-a-uuid')
    await client.fails(/nonsense.*400/s, 'node create --driver fake-hardware --name x1 --boot-interface nonsense')
    await client.fails(/memory_mb.*400/s, 'node create --driver fake-hardware --name x1 --property memory_mb=much')
    await client.fails(/--driver/, 'node create --name x1')
    assert.deepEqual(await client.list('node list --fields name'), [{ name: 'all-1' }])
  })

  test('set and unset change what they name and nothing else', async () => {
    const before = await client.show('node show all-1')
    await client.ok('node set all-1 --extra rack=5 --extra more=1 --property cpus=8 --driver-info fake_address=there')
    const description = 'A node with: everything, "quoted" and ünïcode'
    await client.ok('node set all-1 --instance-info image_source=http://i/x --owner you --lessee them')
    await client.ok('node set all-1 --description', description)
    await client.ok(`node set all-1 --instance-uuid ${instance} --no-automated-clean`)
    const set = await client.show('node show all-1')
    assert.partialDeepStrictEqual(set, {
      extra: { rack: 5, more: 1, where: { room: [1, null, true] } },
      properties: { cpus: 8, memory_mb: 2048, capabilities: 'boot_mode:uefi' },
      driver_info: { fake_address: 'there', fake_password: '******' },
      instance_info: { image_source: 'http://i/x' },
      ...{ owner: 'you', lessee: 'them', description },
      instance_uuid: instance,
      automated_clean: false,
    })
    assert.notEqual(set.updated_at, null)
    assert.equal((await client.show(`node show --instance ${instance}`)).name, 'all-1')

    await client.ok('node unset all-1 --extra more --extra where --property cpus --driver-info fake_address')
    await client.ok('node unset all-1 --instance-info image_source --owner --lessee --description --resource-class')
    await client.ok('node unset all-1 --instance-uuid --automated-clean --boot-interface')
    const unset = await client.show('node show all-1')
    assert.deepEqual(
      { ...unset, updated_at: null },
      {
        ...before,
        updated_at: null,
        extra: { rack: 5 },
        properties: { memory_mb: 2048, capabilities: 'boot_mode:uefi' },
        driver_info: { fake_password: '******' },
        ...{ owner: null, lessee: null, description: null, resource_class: null, automated_clean: null },
      },
    )
  })

  test('set takes names, interfaces, network data, retirement; what has no value cannot be unset', async () => {
    await client.ok('node set all-1 --name other-1 --console-interface no-console --rescue-interface no-rescue')
    await client.fails(/all-1.*404/s, 'node show all-1')
    const data = { links: [], networks: [], services: [{ type: 'dns', address: '192.0.2.1' }] }
    await client.ok('node set other-1 --network-data', JSON.stringify(data))
    await client.ok('node set other-1 --retired --retired-reason', 'too old')
    const node = await client.show('node show other-1')
    assert.partialDeepStrictEqual(node, {
      ...{ name: 'other-1', console_interface: 'no-console', rescue_interface: 'no-rescue', network_data: data },
      ...{ retired: true, retired_reason: 'too old' },
    })
    assert.deepEqual(await client.list('node list --retired --fields name'), [{ name: 'other-1' }])
    await client.ok('node set other-1 --reset-console-interface --driver fake-hardware')
    await client.ok('node unset other-1 --retired --network-data')
    const reset = { console_interface: 'fake', rescue_interface: 'no-rescue', network_data: {}, retired: false }
    assert.partialDeepStrictEqual(await client.show('node show other-1'), { ...reset, retired_reason: null })
    await client.fails(/interface.*400/s, 'node set other-1 --driver redfish') // its interfaces are not those of redfish
    await client.ok('node set other-1 --driver redfish --reset-interfaces')
    const redfish = { driver: 'redfish', power_interface: 'redfish', boot_interface: 'ipxe' }
    assert.partialDeepStrictEqual(await client.show('node show other-1'), redfish)
    await client.ok('node set other-1 --driver fake-hardware --reset-interfaces')
    assert.partialDeepStrictEqual(await client.show('node show other-1'), { rescue_interface: 'fake' })

    await client.fails(/nothing.*400/s, 'node unset other-1 --extra nothing')
    await client.fails(/400/, 'node set other-1 --network-data', '{"links": []}')
    await client.once.fails(/protect.*409/is, 'node set other-1 --protected')
    await client.fails(/400/, 'node set other-1 --protected-reason', 'because')
    await client.fails(/400/, 'node set other-1 --driver no-such-driver')
    await client.ok('node set other-1 --name all-1')
  })

  test('delete takes several nodes, and goes on after one that fails', async () => {
    for (const name of ['gone-1', 'gone-2']) await client.ok(`node create --driver fake-hardware --name ${name}`)
    const { status, out, err } = await client.run('node delete gone-1 not-there gone-2')
    assert.equal(status, 1)
    assert.match(out, /Deleted node gone-1.*Deleted node gone-2/s)
    assert.match(err, /not-there/)
    await client.fails(/gone-2.*404/s, 'node show gone-2')
    await client.fails(/404/, `node delete ${unknown}`)
  })

  test('an unknown node is a 404 that names it, whatever one wants of it', async () => {
    for (const command of ['show', 'set', 'unset', 'validate', 'maintenance set', 'power on', 'reboot', 'manage']) {
      const more = command === 'set' || command === 'unset' ? ['--extra', command === 'set' ? 'a=1' : 'a'] : []
      await client.fails(/nobody.*404/s, `node ${command} nobody`, ...more)
    }
    await client.fails(new RegExp(`${unknown}.*404`, 's'), `node show ${unknown}`)
    await client.fails(/nobody.*404/s, 'node boot device show nobody')
  })

  test('maintenance is set with and without a reason, and unset', async () => {
    await client.ok('node maintenance set all-1 --reason', 'a new fan')
    const fields = '--fields maintenance maintenance_reason'
    assert.deepEqual(await client.show(`node show all-1 ${fields}`), {
      maintenance: true,
      maintenance_reason: 'a new fan',
    })
    assert.deepEqual(await client.list('node list --maintenance --fields name'), [{ name: 'all-1' }])
    await client.ok('node maintenance set all-1')
    assert.equal((await client.show(`node show all-1 ${fields}`)).maintenance_reason, null)
    await client.ok('node maintenance unset all-1')
    assert.deepEqual(await client.show(`node show all-1 ${fields}`), { maintenance: false, maintenance_reason: null })
    assert.deepEqual(await client.list('node list --maintenance'), [])
  })

  test('validate prints a row per interface', async () => {
    const rows = await client.list('node validate all-1')
    const results = Object.fromEntries(rows.map(row => [row.interface, row.result]))
    assert.partialDeepStrictEqual(results, { boot: true, deploy: true, management: true, network: true, power: true })
    for (const row of rows) assert.ok(row.result === true || String(row.reason).length > 10, JSON.stringify(row))
  })

  test('create takes nodes and ports from a file', async t => {
    const file = join(tmpdir(), `ferrite-interop-${process.pid}.json`)
    t.after(() => rm(file))
    const ports = [{ address: '52:54:00:0F:00:01' }, { address: '52:54:00:0f:00:02', pxe_enabled: false }]
    await writeFile(file, JSON.stringify({ nodes: [{ name: 'file-1', driver: 'fake-hardware', ports }] }))
    await client.ok(`create ${file}`)
    const found = await client.list('port list --node file-1')
    assert.deepEqual(found.map(port => port.address).sort(), ['52:54:00:0f:00:01', '52:54:00:0f:00:02'])
    await client.once.fails(/409/, `create ${file}`)
    await client.ok('node delete file-1')
    assert.deepEqual(await client.list('port list'), [])
  })

  describe('list', () => {
    const names = ['ant', 'bee', 'cat', 'dog', 'eel']
    before(async () => {
      await client.ok('node delete all-1')
      for (const [at, name] of names.entries()) {
        const driver = at < 3 ? 'fake-hardware' : 'redfish'
        await client.ok(`node create --driver ${driver} --name ${name} --resource-class class-${at % 2}`)
      }
      await client.ok('node set bee --owner me --lessee you')
      await client.ok(`node set cat --instance-uuid ${instance}`)
      await client.ok('node maintenance set dog')
      await client.ok('node manage ant --wait 60')
    })
    const listed = async (filter: string) => (await client.list(`node list --sort name ${filter}`)).map(row => row.name)

    test('prints the usual columns', async () => {
      const rows = await client.list('node list')
      const columns = ['uuid', 'name', 'instance_uuid', 'power_state', 'provision_state', 'maintenance']
      for (const row of rows) assert.deepEqual(Object.keys(row), columns)
      const ant = rows.find(row => row.name === 'ant')
      assert.partialDeepStrictEqual(ant, { power_state: 'power off', provision_state: 'manageable' })
    })

    test('filters', async () => {
      assert.deepEqual(await listed('--provision-state manageable'), ['ant'])
      assert.deepEqual(await listed('--provision-state enroll'), ['bee', 'cat', 'dog', 'eel'])
      assert.deepEqual(await listed('--provision-state active'), [])
      assert.deepEqual(await listed('--maintenance'), ['dog'])
      assert.deepEqual(await listed('--no-maintenance'), ['ant', 'bee', 'cat', 'eel'])
      assert.deepEqual(await listed('--driver redfish'), ['dog', 'eel'])
      assert.deepEqual(await listed('--driver redfish --no-maintenance'), ['eel'])
      assert.deepEqual(await listed('--resource-class class-1'), ['bee', 'dog'])
      assert.deepEqual(await listed('--associated'), ['cat'])
      assert.deepEqual(await listed('--unassociated'), ['ant', 'bee', 'dog', 'eel'])
      assert.deepEqual(await listed('--owner me'), ['bee'])
      assert.deepEqual(await listed('--lessee you'), ['bee'])
      assert.deepEqual(await listed(`--conductor ${conductor}`), names)
      assert.deepEqual(await listed('--conductor somebody-else'), [])
      assert.deepEqual(
        await client.list('node list --sort name --conductor-group', ''),
        await client.list('node list --sort name'),
      )
      assert.deepEqual(await listed('--no-retired'), names)
      assert.deepEqual(await listed('--retired'), [])
      assert.deepEqual(await client.list('node list --fault', 'power failure'), [])
      await client.fails(/fault.*400/s, 'node list --fault nonsense')
    })

    test('sorts by one key and by several, both ways', async () => {
      const sorted = async (sort: string) => (await client.list(`node list --sort ${sort}`)).map(row => row.name)
      assert.deepEqual(await sorted('name:desc'), names.toReversed())
      assert.deepEqual(await sorted('name:asc'), names)
      const byDriver = await client.list('node list --sort driver:desc --fields driver')
      assert.deepEqual(
        byDriver.map(row => row.driver),
        [...Array(2).fill('redfish'), ...Array(3).fill('fake-hardware')],
      )
      await client.fails(/nonsense/, 'node list --sort nonsense')
    })

    test('limits, goes on after a marker, and follows pages to the end', async () => {
      assert.deepEqual(await listed('--limit 2'), ['ant', 'bee'])
      const bee = await client.show('node show bee --fields uuid')
      assert.deepEqual(await listed(`--marker ${String(bee.uuid)} --limit 2`), ['cat', 'dog'])
      assert.deepEqual(await listed(`--marker ${String(bee.uuid)}`), ['cat', 'dog', 'eel'])
      assert.deepEqual(await listed('--limit 0'), names)
      await client.fails(/404/, `node list --marker ${unknown}`)
      await client.fails(/marker|UUID/i, 'node list --marker not-a-uuid')
      await client.fails(/limit/i, 'node list --limit -1')
    })

    test('chooses fields, and prints all of them', async () => {
      const rows = await client.list('node list --sort name --limit 1 --fields name driver provision_state extra')
      assert.deepEqual(rows, [{ name: 'ant', driver: 'fake-hardware', provision_state: 'manageable', extra: {} }])
      await client.fails(/nonsense/, 'node list --fields nonsense')
      const [ant] = await client.list('node list --sort name --long')
      assert.partialDeepStrictEqual(ant, {
        name: 'ant',
        driver: 'fake-hardware',
        resource_class: 'class-0',
      } satisfies Row)
      assert.ok(Object.keys(ant ?? {}).length > 40)
      assert.match(await client.ok('node list --sort name --fields name -f csv'), /^"name"\n"ant"\n"bee"\n/i)
    })
  })
})

test('pages are followed to their end when the service makes them small', {
  skip: await whyMissing(forClients),
}, async () => {
  await using small = await startService({ config: { api: { max_limit: 2 } } })
  const client = new Baremetal(small)
  for (const name of ['a', 'b', 'c', 'd', 'e']) await client.ok(`node create --driver fake-hardware --name ${name}`)
  const names = async (more: string) => (await client.list(`node list --sort name ${more}`)).map(row => row.name)
  assert.deepEqual(await names('--limit 0'), ['a', 'b', 'c', 'd', 'e'])
  assert.deepEqual(await names('--limit 3'), ['a', 'b', 'c'])
  assert.deepEqual(await names('--limit 0 --long'), ['a', 'b', 'c', 'd', 'e'])
  assert.deepEqual(await names('--limit 0 --driver fake-hardware --fields name uuid'), ['a', 'b', 'c', 'd', 'e'])
})
