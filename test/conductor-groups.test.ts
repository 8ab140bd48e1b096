/** Conductors of two groups on one PostgreSQL: each serves the nodes of its own, and no other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '../src/cli/client.ts'
import { openDatabase } from '../src/db/database.ts'
import type { SimMachine } from '../src/sim/machine.ts'
import { brisk } from '../src/sim/settings.ts'
import { openCluster } from './cluster.ts'

test('nodes are served by the conductors of their group alone', async () => {
  await using cluster = await openCluster({ processes: 2, nodes: 5, settings: brisk, groups: ['east', 'West'] })
  const { api } = cluster.site.service
  const [east1, east2, west1, west2, nowhere] = cluster.machines
  assert.ok(east1 && east2 && west1 && west2 && nowhere)
  const groupOf = new Map([
    [east1, 'east'],
    [east2, 'EAST'],
    [west1, 'west'],
    [west2, 'west'],
    [nowhere, 'north'],
  ])
  for (const machine of cluster.machines) {
    const uuid = await cluster.site.enrol(machine)
    await api.create('/v1/ports', { node_uuid: uuid, address: machine.macs[0] })
    await api.patch(`/v1/nodes/${uuid}`, [{ op: 'replace', path: '/conductor_group', value: groupOf.get(machine) }])
  }
  const served = [east1, east2, west1, west2]
  await Promise.all(served.map(machine => cluster.ask(machine, 'manage')))
  await Promise.all(served.map(machine => cluster.reached(machine, 'manageable')))

  const db = await openDatabase(cluster.site.database)
  const rows = await db
    .selectFrom('flows')
    .innerJoin('nodes', 'nodes.uuid', 'flows.node_uuid')
    .select(['nodes.name', 'flows.conductor'])
    .orderBy('nodes.name')
    .execute()
  const hosts = Object.fromEntries(rows.map(row => [row.name, row.conductor]))
  const names = (machines: SimMachine[], host: string) => machines.map(({ name }) => [name, host])
  assert.deepEqual(hosts, Object.fromEntries([...names([east1, east2], 'host-1'), ...names([west1, west2], 'host-2')]))
  await db.destroy()
  const shown = async (machine: SimMachine) => (await cluster.node(machine)).conductor
  assert.deepEqual([await shown(east1), await shown(west1), await shown(nowhere)], ['host-1', 'host-2', null])

  const refused = async (machine: SimMachine, verb: string) => {
    const error = await cluster.ask(machine, verb).then(
      () => assert.fail(`somebody took ${machine.name}`),
      error => error,
    )
    assert.ok(error instanceof ApiError)
    return `${error.status} ${error.message}`
  }
  assert.match(await refused(nowhere, 'manage'), /^400 .*no conductor of group "north" is online/)

  // A farewell is heard at once; rows tell it, too.
  await cluster.site.process('host-2').kill('SIGTERM')
  for (const end = performance.now() + 60_000; (await shown(west1)) !== null; await sleep(100)) {
    assert.ok(performance.now() < end, 'the node still has a conductor')
  }
  assert.match(await refused(west1, 'provide'), /^400 .*no conductor of group "west" is online/)
  assert.equal((await cluster.node(west1)).provision_state, 'manageable')
  await cluster.ask(east1, 'provide')
  await cluster.reached(east1, 'available')

  await cluster.site.process('host-2').resume()
  for (const end = performance.now() + 60_000; (await shown(west1)) !== 'host-2'; await sleep(100)) {
    assert.ok(performance.now() < end, 'the conductor that came back has no node')
  }
})
