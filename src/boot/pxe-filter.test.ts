/**
 * The filter of network boots: which files it writes as nodes are inspected, and what a real dnsmasq makes of them, asked
 * by machines over a cable (needs root).
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { addNode } from '#conductor/test-engine.ts'
import { loadConfig, type Overrides } from '#config/load.ts'
import { deletePort, portsOf } from '#db/ports.ts'
import { freshDatabase } from '#db/test-database.ts'
import { addPort } from '#drivers/inspection/ports.ts'
import { silent } from '#lib/log.ts'
import { run } from '#lib/run.ts'
import { PxeFilter } from './pxe-filter.ts'

const mac = (at: number) => `52:54:00:00:00:0${at}`

async function world(overrides: Overrides = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-filter-'))
  const db = await freshDatabase()
  after(async () => {
    await db.destroy()
    await rm(directory, { recursive: true, force: true })
  })
  const config = await loadConfig({ overrides: { pxe_filter: { dhcp_hostsdir: directory }, ...overrides } })
  const state = (uuid: string, provision_state: string) =>
    db.updateTable('nodes').set({ provision_state }).where('uuid', '=', uuid).execute()
  return {
    db,
    config,
    directory,
    state,
    filter: new PxeFilter({ db, config }),
    async add(addresses: string[], inspect_interface = 'agent') {
      const uuid = await addNode(db, 'manageable', { inspect_interface })
      for (const address of addresses) await addPort({ db, log: silent }, uuid, { address }, 0)
      return uuid
    },
    /** Contents without the names: `allow` or `deny`. */
    async files() {
      const names = (await readdir(directory)).sort()
      const texts = await Promise.all(names.map(name => readFile(join(directory, name), 'utf8')))
      return names.map((name, at) => {
        const who = name === 'unknown_hosts_filter' ? '*:*:*:*:*:*' : name
        const text = texts[at]
        return `${name.slice(-2)} ${text === `${who}\n` ? 'allow' : text === `${who},ignore\n` ? 'deny' : `odd: ${text}`}`
      })
    },
  }
}

test('machines are let through while they are inspected, and unknown ones while any is', async () => {
  const w = await world()
  const one = await w.add([mac(1), mac(2)])
  const other = await w.add([mac(3)], 'redfish')
  await w.filter.sync()
  assert.deepEqual(await w.files(), ['01 deny', '02 deny', '03 deny', 'er deny'])
  await w.state(one, 'inspect wait')
  await w.state(other, 'inspecting')
  await w.filter.sync()
  // The other one's interface boots no ramdisk.
  assert.deepEqual(await w.files(), ['01 allow', '02 allow', '03 deny', 'er allow'])
  const [first] = await portsOf(w.db, one)
  await deletePort(w.db, first?.uuid ?? '')
  await w.state(one, 'manageable')
  await w.filter.sync()
  // What has no port any more is as unknown as others.
  assert.deepEqual(await w.files(), ['01 deny', '02 deny', '03 deny', 'er deny'])
})

test('another process goes on with the files, and mends what it finds odd', async () => {
  const w = await world({ auto_discovery: { enabled: true, driver: 'fake-hardware' } })
  await w.add([mac(1)])
  await w.filter.sync()
  assert.deepEqual(await w.files(), ['01 deny', 'er allow'])
  await writeFile(join(w.directory, mac(1)), 'half a')
  await writeFile(join(w.directory, mac(7)), `${mac(7)},ignore\n`)
  await writeFile(join(w.directory, 'notes'), 'of the operator')
  await new PxeFilter(w).sync()
  assert.deepEqual(await w.files(), ['01 deny', '07 allow', 'es odd: of the operator', 'er allow'])
})

test('a directory that is not there is told of when the service starts, and nothing is done without one', async () => {
  const w = await world({ pxe_filter: { dhcp_hostsdir: '/nowhere/at/all' } })
  await assert.rejects(w.filter.check(), /\[pxe_filter\] dhcp_hostsdir is \/nowhere\/at\/all, and that is no directory/)
  await assert.rejects(w.filter.sync(), /ENOENT/)
  const off = new PxeFilter({ db: w.db, config: await loadConfig({}) })
  await off.check()
  await off.sync()
})

const skip = process.getuid?.() === 0 ? false : 'needs root for network namespaces'

test('a dnsmasq with this dhcp-hostsdir answers those, and nobody else', { skip, timeout: 120_000 }, async () => {
  const w = await world()
  const uuid = await w.add([mac(1)])
  await w.filter.sync()
  const [server, client] = [`ff-s-${process.pid}`, `ff-c-${process.pid}`]
  const lines = [
    `netns add ${server}`,
    `netns add ${client}`,
    `link add v0 netns ${server} type veth peer name v0 netns ${client}`,
  ]
  await run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` })
  after(async () => {
    for (const name of [server, client]) await run('ip', ['netns', 'delete', name])
  })
  const up = (address: string) => `link set lo up\naddress add ${address}/24 dev v0\nlink set v0 up\n`
  await run('ip', ['-netns', server, '-batch', '-'], { input: up('10.89.0.1') })
  const route = 'route add 255.255.255.255/32 dev v0\n'
  await run('ip', ['-netns', client, '-batch', '-'], { input: up('10.89.0.9') + route })
  const leases = join(tmpdir(), `ferrite-leases-${process.pid}`)
  const options = [
    '--no-daemon --port=0 --no-resolv --no-hosts --conf-file=/dev/null --user=root --interface=v0 --no-ping',
    `--dhcp-range=10.89.0.100,10.89.0.150,1h --dhcp-authoritative --dhcp-leasefile=${leases}`,
    `--dhcp-hostsdir=${w.directory}`,
  ]
  const args = ['netns', 'exec', server, 'dnsmasq', ...options.join(' ').split(' ')]
  const dnsmasq = spawn('ip', args, { stdio: 'ignore' })
  after(async () => {
    const ended = new Promise(resolve => dnsmasq.once('close', resolve))
    dnsmasq.kill()
    await ended
    await rm(leases, { force: true })
  })
  const probe = join(import.meta.dirname, 'netboot-probe.ts')
  const answered = async (address: string, limitMs: number) => {
    const asked = [process.execPath, probe, '--mac', address, '--limit', String(limitMs)]
    const { stdout } = await run('ip', ['netns', 'exec', client, ...asked])
    return JSON.parse(stdout) !== null
  }
  /** Until it is so: dnsmasq starts, and reads files, in its own time. */
  const becomes = async (address: string, expected: boolean) => {
    for (const endMs = Date.now() + 60_000; (await answered(address, 700)) !== expected; await sleep(50)) {
      assert.ok(Date.now() < endMs, `${address} never became ${expected ? 'answered' : 'ignored'}`)
    }
  }
  await w.state(uuid, 'inspecting')
  await w.filter.sync()
  await becomes(mac(1), true)
  await becomes(mac(9), true)
  await w.state(uuid, 'manageable')
  await w.filter.sync()
  await becomes(mac(1), false)
  await becomes(mac(9), false)
})
