/** What is seen of a boot is written down, read back, and explained by the first hop that is missing. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { addNode } from '#conductor/test-engine.ts'
import type { Db } from '#db/database.ts'
import { bootRecord, Sightings } from '#db/sightings.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { Hop, Trouble } from '#protocol/boot.ts'
import { timestamp } from '#protocol/field.ts'
import type { Served } from './diagnosis/firmware.ts'
import { type BootSetting, diagnoseBoot, inWords } from './diagnosis.ts'

const mac = '52:54:00:00:00:01'
const disabled = '52:54:00:00:00:02'
const stranger = '52:54:00:00:00:99'
const startMs = Date.UTC(2026, 0, 1, 12)

let db: Db
before(async () => {
  db = await freshDatabase()
})
after(() => db.destroy())

/** A node with a port that boots and one that may not. */
async function machine({ ports = true } = {}): Promise<string> {
  await db.deleteFrom('ports').execute()
  await db.deleteFrom('events').execute()
  const node_uuid = await addNode(db, 'wait call-back')
  const addresses = ports ? [mac, disabled] : []
  for (const address of addresses) {
    const pxe_enabled = address === mac ? 1 : 0
    const row = { uuid: randomUUID(), node_uuid, address, pxe_enabled, created_at: timestamp(startMs) }
    const empty = { extra: '{}', internal_info: '{}', local_link_connection: '{}' }
    const flags = { is_smartnic: 0, available_for_dynamic_portgroup: 0 }
    await db
      .insertInto('ports')
      .values({ ...row, ...empty, ...flags })
      .execute()
  }
  return node_uuid
}

type Seen = (see: {
  hops(...hops: Hop[]): Promise<void>
  trouble(trouble: Trouble): Promise<void>
  asked(by: 'dhcp' | 'lookup', address: string): Promise<void>
  /** Hops of a DHCP client of that name. */
  asks(client: string, ...hops: Hop[]): Promise<void>
  outage(state: 'down' | 'up'): Promise<void>
  /** What follows is seen a second later. */
  later(): void
}) => Promise<void>

const http = (path: string, status: number, bytes = 0): Trouble => ({
  ...{ what: 'http failed', path, status, bytes, sizeBytes: 1000 },
})
const dhcp: Hop[] = ['dhcp discover', 'dhcp offer', 'dhcp request', 'dhcp ack']
const usual: BootSetting = { managed: true, dhcpInterface: 'lan0', bootsFrom: 'network', apiUrl: 'http://api:6385' }
const served = (way: Served['way'], more: Partial<Served> = {}): Served => {
  return { way, mode: null, loaderFor: ({ arch }) => (arch === 'x86_64' ? 'loader' : null), ...more }
}
const pxeOf = (arch: number) => `PXEClient:Arch:${String(arch).padStart(5, '0')}:UNDI:003016`
const bmc = { power: 'power on', macs: [mac], macsWithoutLink: [] as string[], bootDevice: 'pxe', hasMedia: null }

const cases: [what: string, seen: Seen, cause: string, words: RegExp, setting?: Partial<BootSetting>][] = [
  [
    'nothing at all',
    async () => {},
    'no-dhcp',
    /No DHCP request of MAC address 52:54:00:00:00:01 reached interface lan0/,
  ],
  ['nothing, and DHCP is somebody else', async () => {}, 'nothing-fetched', /DHCP server's log/, { managed: false }],
  ['the BMC says off', async () => {}, 'power-off', /off/, { bmc: { ...bmc, power: 'power off' } }],
  [
    'the BMC boots the disk',
    async () => {},
    'wrong-boot-device',
    /did not keep/,
    { bmc: { ...bmc, bootDevice: 'disk' } },
  ],
  [
    'the BMC knows other NICs',
    async () => {},
    'wrong-port-address',
    /names 52:54:00:00:00:99/,
    { bmc: { ...bmc, macs: [stranger] } },
  ],
  [
    'another NIC of the machine asks',
    see => see.asked('dhcp', stranger),
    'wrong-port-address',
    /BMC names/,
    { bmc: { ...bmc, macs: [stranger] } },
  ],
  [
    'somebody asks',
    see => see.asked('dhcp', stranger),
    'unknown-mac-asked',
    /on MAC address 52:54:00:00:00:99, which no port has/,
  ],
  ['no answer', see => see.hops('dhcp discover'), 'dhcp-unanswered', /no address was given/],
  [
    'refused an address',
    async see => {
      await see.hops('dhcp discover')
      await see.trouble({ what: 'dhcp refused', mac, detail: 'no address available' })
    },
    'dhcp-refused',
    /refused: the range is used up/,
  ],
  ['no boot file', see => see.hops(...dhcp), 'no-boot-file-asked', /asked for no boot file/],
  [
    'no loader',
    async see => {
      await see.hops(...dhcp)
      await see.trouble({ what: 'tftp failed', file: '/srv/tftp/snponly.efi', outcome: 'not found' })
    },
    'tftp-file-missing',
    /snponly\.efi, which is not there/,
  ],
  [
    'a loader that breaks off',
    async see => {
      await see.hops(...dhcp)
      await see.trouble({ what: 'tftp failed', file: '/srv/tftp/snponly.efi', outcome: 'failed' })
    },
    'tftp-broken',
    /transfer of .*snponly\.efi failed/,
  ],
  ['a silent loader', see => see.hops(...dhcp, 'tftp'), 'loader-silent', /never asked for the boot script/],
  ['no script of the node', see => see.hops(...dhcp, 'tftp', 'ipxe'), 'no-script', /boot script of the node/],
  [
    'a script that is not served',
    async see => {
      await see.hops(...dhcp, 'tftp', 'ipxe')
      await see.trouble(http('/pxelinux.cfg/52-54-00-00-00-01', 404))
    },
    'script-not-served',
    /boot script and got HTTP 404/,
  ],
  ['no kernel', see => see.hops(...dhcp, 'tftp', 'script'), 'no-kernel', /not the kernel/],
  [
    'a kernel that is not served',
    async see => {
      await see.hops(...dhcp, 'tftp', 'script')
      await see.trouble(http('/x/deploy_kernel', 403))
    },
    'kernel-not-served',
    /the kernel and got HTTP 403/,
  ],
  [
    'a kernel that GRUB refuses before it has the whole of it',
    see => see.hops(...dhcp, 'tftp', 'script'),
    'kernel-damaged',
    /fetched its boot script, but the kernel cannot be booted: it is no kernel/,
    { damaged: [{ kind: 'kernel', path: '/x/deploy_kernel', damage: 'it is no kernel' }] },
  ],
  [
    'a kernel that its loader refuses, and a ramdisk that nobody asks for',
    see => see.hops(...dhcp, 'tftp', 'script', 'kernel'),
    'kernel-damaged',
    /fetched the kernel, but/,
    { damaged: [{ kind: 'kernel', path: '/x/deploy_kernel', damage: 'it is no kernel' }] },
  ],
  ['half a ramdisk, silently', see => see.hops(...dhcp, 'script', 'kernel'), 'no-ramdisk', /not the whole ramdisk/],
  [
    'half a ramdisk',
    async see => {
      await see.hops(...dhcp, 'script', 'kernel')
      await see.trouble(http('/x/deploy_ramdisk', 200, 600))
    },
    'ramdisk-transfer-broken',
    /broke off after 600 of 1000 bytes/,
  ],
  [
    'a ramdisk that is silent',
    see => see.hops(...dhcp, 'script', 'kernel', 'ramdisk'),
    'kernel-silent',
    /see the console/,
  ],
  [
    'an agent that nobody knows',
    async see => {
      await see.hops(...dhcp, 'script', 'kernel', 'ramdisk')
      await see.asked('lookup', stranger)
    },
    'unknown-mac-looked-up',
    /52:54:00:00:00:99, which no port has, looked for its node/,
  ],
  [
    'an agent that nobody knows, and that ran before this machine fetched its ramdisk',
    async see => {
      await see.asked('lookup', stranger)
      see.later()
      await see.hops(...dhcp, 'script', 'kernel', 'ramdisk')
    },
    'kernel-silent',
    /see the console/,
  ],
  [
    'a look-up that is refused',
    async see => {
      await see.hops(...dhcp, 'script', 'kernel', 'ramdisk')
      await see.trouble({ what: 'lookup refused', reason: 'the node is in state "active"' })
    },
    'lookup-refused',
    /look-up was refused/,
  ],
  [
    'an agent that is silent',
    see => see.hops(...dhcp, 'kernel', 'ramdisk', 'lookup'),
    'no-heartbeat',
    /no heartbeat followed/,
  ],
  [
    'the BMC says that there is no link',
    async () => {},
    'link-down',
    /has no link/,
    { bmc: { ...bmc, macsWithoutLink: [mac] } },
  ],
  [
    'the BMC forgot the boot device',
    see => see.trouble({ what: 'boot device lost', found: null }),
    'wrong-boot-device',
    /boots from something else/,
  ],
  [
    'it went off on its way',
    see => see.hops(...dhcp, 'script', 'kernel', 'ramdisk'),
    'power-off',
    /last sign of life was "ramdisk"/,
    { bmc: { ...bmc, power: 'power off' } },
  ],
  [
    'somebody else gave it an address',
    async see => {
      await see.hops('dhcp discover', 'dhcp offer', 'dhcp request')
      await see.trouble({ what: 'dhcp refused', mac, detail: 'wrong server-ID' })
    },
    'foreign-dhcp-server',
    /Another DHCP server answers/,
  ],
  [
    'somebody else gave its loader an address',
    async see => {
      await see.hops(...dhcp, 'tftp')
      see.later()
      await see.asks('PXEClient:Arch:00000:UNDI:002001', 'dhcp discover', 'dhcp offer', 'dhcp request')
      await see.trouble({ what: 'dhcp refused', mac, detail: 'wrong server-ID' })
    },
    'foreign-dhcp-server',
    /Another DHCP server answers/,
  ],
  [
    'somebody else gave its ramdisk an address',
    async see => {
      await see.hops(...dhcp, 'script', 'kernel', 'ramdisk')
      see.later()
      await see.asks('ferrite-ramdisk', 'dhcp discover', 'dhcp offer', 'dhcp request')
      await see.trouble({ what: 'dhcp refused', mac, detail: 'wrong server-ID' })
    },
    'foreign-dhcp-server',
    /Another DHCP server answers/,
  ],
  [
    "it asked for somebody else's address, and took ours then",
    async see => {
      await see.trouble({ what: 'dhcp refused', mac, detail: 'wrong server-ID' })
      see.later()
      await see.hops(...dhcp, 'tftp')
    },
    'loader-silent',
    /never asked for the boot script/,
  ],
  [
    'an offer that it never took',
    see => see.hops('dhcp discover', 'dhcp offer'),
    'dhcp-offer-lost',
    /do not reach the machine/,
  ],
  ['dnsmasq is down', see => see.outage('down'), 'dhcp-server-down', /did not serve while the machine booted/],
  [
    'dnsmasq was down, and served it then',
    async see => {
      await see.outage('down')
      await see.outage('up')
      see.later()
      await see.hops(...dhcp, 'tftp')
    },
    'loader-silent',
    /never asked for the boot script/,
  ],
  [
    'it fetches everything again and again',
    see => see.hops(...dhcp, 'script', 'kernel', 'ramdisk', ...dhcp, 'script', 'kernel', 'ramdisk'),
    'reboot-loop',
    /2 times since it was switched on/,
  ],
  [
    'a ramdisk with an address, and no agent',
    async see => {
      await see.hops(...dhcp, 'script', 'kernel', 'ramdisk')
      await see.asks('ferrite-ramdisk', ...dhcp)
    },
    'agent-silent',
    /never reached the API at http:\/\/api:6385/,
  ],
  [
    'a ramdisk that gets no address',
    async see => {
      await see.hops(...dhcp, 'script', 'kernel', 'ramdisk')
      await see.asks('ferrite-ramdisk', 'dhcp discover')
    },
    'ramdisk-without-address',
    /asked for an address, but took none/,
  ],
  [
    'what is published is no kernel',
    see => see.hops(...dhcp, 'script', 'kernel', 'ramdisk'),
    'kernel-damaged',
    /it has 0 bytes/,
    { damaged: [{ kind: 'kernel', path: '/x/deploy_kernel', damage: 'it has 0 bytes' }] },
  ],
  [
    'an operating system asks',
    see => see.asks('udhcp 1.36', ...dhcp),
    'wrong-boot-device',
    /booted an operating system from its disk/,
  ],
  [
    'it does not trust the API',
    async see => {
      await see.hops(...dhcp, 'script', 'kernel', 'ramdisk')
      await see.trouble({ what: 'api distrusted', reason: 'a caller refused the certificate: unknown ca' })
    },
    'api-not-trusted',
    /does not trust its certificate/,
  ],
  [
    'the virtual medium is gone',
    async () => {},
    'media-ejected',
    /no medium is in its BMC/,
    { bootsFrom: 'media', bmc: { ...bmc, hasMedia: false } },
  ],
  [
    'a virtual medium, and silence',
    async () => {},
    'media-silent',
    /in place/,
    { bootsFrom: 'media', bmc: { ...bmc, hasMedia: true } },
  ],
  [
    'a virtual medium, silence, and secure boot',
    async () => {},
    'media-silent',
    /secure boot starts nothing that is not signed/,
    { bootsFrom: 'media', bmc: { ...bmc, hasMedia: true, firmware: { secureBoot: true, progress: null } } },
  ],
  [
    'firmware that nobody has a loader for',
    see => see.asks(pxeOf(11), ...dhcp),
    'no-loader-for-firmware',
    /aarch64, UEFI, .* has no loader: name a loader for aarch64 in \[pxe\] ipxe_bootfile_name_by_arch/,
    { served: served('ipxe') },
  ],
  [
    'firmware without HTTP boot',
    see => see.asks(pxeOf(7), ...dhcp),
    'no-loader-for-firmware',
    /switch HTTP boot on/,
    { served: served('http', { loaderFor: ({ overHttp }) => (overHttp ? 'loader' : null) }) },
  ],
  [
    'firmware that has a loader, and does not ask for it',
    see => see.asks(pxeOf(7), ...dhcp),
    'no-boot-file-asked',
    /asked for no boot file/,
    { served: served('ipxe') },
  ],
  [
    'firmware in BIOS mode, and a configuration for UEFI',
    async see => {
      await see.asks(pxeOf(0), ...dhcp)
      await see.hops('tftp')
    },
    'wrong-boot-mode',
    /x86_64, BIOS, .* boot mode uefi: set the boot mode of the firmware to uefi/,
    { served: served('pxe', { mode: 'uefi' }) },
  ],
  [
    'iPXE, and secure boot',
    async see => {
      await see.asks(pxeOf(7), ...dhcp)
      await see.hops('tftp')
    },
    'secure-boot-refused',
    /its first loader, iPXE, .* not signed: use the boot interface pxe/,
    { served: served('ipxe'), bmc: { ...bmc, firmware: { secureBoot: true, progress: null } } },
  ],
  [
    'a kernel that nobody signed, and secure boot',
    see => see.hops(...dhcp, 'tftp', 'script', 'kernel'),
    'secure-boot-refused',
    /fetched the kernel/,
    { served: served('pxe', { mode: 'uefi' }), bmc: { ...bmc, firmware: { secureBoot: true, progress: null } } },
  ],
  [
    'memory that firmware cannot start',
    async () => {},
    'firmware-stuck',
    /no further than its memory/,
    { bmc: { ...bmc, firmware: { secureBoot: null, progress: 'MemoryInitializationStarted' } } },
  ],
  [
    'somebody at the setup of the firmware',
    async () => {},
    'firmware-setup',
    /entered the setup/,
    { bmc: { ...bmc, firmware: { secureBoot: null, progress: 'SetupEntered' } } },
  ],
  [
    'a URL that firmware never fetches',
    see => see.asks('HTTPClient:Arch:00016:UNDI:003001', ...dhcp),
    'medium-not-fetched',
    /never fetched the ISO/,
    { bootsFrom: 'url' },
  ],
  [
    'an ISO that firmware fetched, and silence',
    async see => {
      await see.asks('HTTPClient:Arch:00016:UNDI:003001', ...dhcp)
      await see.hops('medium')
    },
    'media-silent',
    /fetched the ISO/,
    { bootsFrom: 'url' },
  ],
  [
    'heartbeats that are refused',
    async see => {
      await see.hops(...dhcp, 'kernel', 'ramdisk', 'lookup')
      await see.trouble({ what: 'heartbeat refused', reason: 'agent_token: it is not the one this node was given' })
    },
    'heartbeat-refused',
    /are refused: reboot the ramdisk/,
  ],
  [
    'an agent without TLS where TLS is demanded',
    async see => {
      await see.hops(...dhcp, 'kernel', 'ramdisk', 'lookup')
      await see.trouble({
        what: 'heartbeat refused',
        reason: 'callback_url is http://10.0.0.9:9999, [agent] require_tls demands https',
      })
    },
    'heartbeat-refused',
    /are refused: use a ramdisk whose agent serves HTTPS/,
  ],
]

for (const [what, seen, cause, words, setting] of cases) {
  test(`${what}: ${cause}`, async () => {
    const uuid = await machine()
    let nowMs = startMs + 5000
    const clock = { now: () => nowMs }
    const sightings = new Sightings({ db, clock })
    // Of an earlier boot, which says nothing about this one.
    const earlier = new Sightings({ db, clock: { now: () => startMs - 60_000 } })
    await earlier.hop({ hop: 'lookup', nodeUuid: uuid })
    await earlier.trouble({ nodeUuid: uuid }, { what: 'heartbeat refused', reason: 'old' })
    await earlier.stranger('dhcp', ['52:54:00:00:00:77'])
    await seen({
      async hops(...hops) {
        for (const hop of hops) await sightings.hop(hop === 'lookup' ? { hop, nodeUuid: uuid } : { hop, mac })
      },
      trouble: trouble => sightings.trouble({ nodeUuid: uuid }, trouble),
      asked: (by, address) =>
        by === 'dhcp' ? sightings.hop({ hop: 'dhcp discover', mac: address }) : sightings.stranger(by, [address]),
      async asks(client, ...hops) {
        for (const hop of hops) await sightings.hop({ hop, mac, data: { client, ip: '10.0.0.9' } })
      },
      outage: state => sightings.outage({ part: 'dnsmasq', state, reason: 'it ended with SIGSEGV' }),
      later: () => {
        nowMs += 1000
      },
    })
    const record = await bootRecord(db, uuid, timestamp(startMs))
    const diagnosis = diagnoseBoot(record, { ...usual, ...setting })
    assert.equal(diagnosis.cause, cause)
    assert.match(inWords(diagnosis), words)
    assert.match(diagnosis.evidence.at(-1) ?? '', /^switched on at 12:00:00$/)
    assert.ok(diagnosis.actions.length > 0)
    assert.doesNotMatch(JSON.stringify(diagnosis), /00:77|\bold\b/)
  })
}

test('a port that may not boot, and one that is not there', async () => {
  const uuid = await machine()
  const sightings = new Sightings({ db, clock: { now: () => startMs + 1000 } })
  await sightings.hop({ hop: 'dhcp discover', mac: disabled })
  const found = diagnoseBoot(await bootRecord(db, uuid, timestamp(startMs)), usual)
  assert.deepEqual(
    [found.cause, found.actions[0]],
    ['port-not-enabled', 'set pxe_enabled on that port, or change the boot order'],
  )
  const without = diagnoseBoot(await bootRecord(db, await machine({ ports: false }), timestamp(startMs)), usual)
  assert.equal(without.cause, 'no-boot-port')
})

test('a machine that may only be slow is told from one that stopped long ago', async () => {
  const uuid = await machine()
  const sightings = new Sightings({ db, clock: { now: () => startMs + 26_000 } })
  for (const hop of ['script', 'kernel', 'ramdisk'] as const) await sightings.hop({ hop, mac })
  const record = await bootRecord(db, uuid, timestamp(startMs))
  const last = (afterMs: number) =>
    diagnoseBoot(record, { ...usual, until: timestamp(startMs + afterMs) }).actions.at(-1)
  assert.match(last(60_000) ?? '', /its last sign came 34 s before .* more than 60 s, \[conductor\] deploy_callback/)
  assert.doesNotMatch(last(1_800_000) ?? '', /slow/)
})

test('a machine that was given no time for its firmware is told to be given more, first of all', async () => {
  const record = await bootRecord(db, await machine(), timestamp(startMs))
  const after = (afterMs: number, more: Partial<BootSetting> = {}) =>
    diagnoseBoot(record, { ...usual, until: timestamp(startMs + afterMs), ...more })
  assert.match(inWords(after(60_000)), /^No DHCP request .*: if it is only slow .* more than 60 s/)
  assert.match(inWords(after(1_800_000)), /wrong MAC address$/)
  // What the BMC says is more than a guess.
  const unplugged = after(60_000, { bmc: { ...bmc, macsWithoutLink: [mac] } })
  assert.match(inWords(unplugged), /look at the cable/)
})

test('what a ramdisk says last tells whether its agent tried to reach the API', async () => {
  const record = await bootRecord(db, await machine(), timestamp(startMs))
  const of = (line: string) =>
    diagnoseBoot({ ...record, hops: [{ hop: 'ramdisk', at: record.since, data: {} }], lastWords: [line] }, usual).cause
  assert.equal(of('Cannot reach http://api:6385/v1: connect ECONNREFUSED; next lookup in 900 ms'), 'agent-silent')
  assert.equal(of('SyntaxError: Unexpected token, the agent failed'), 'agent-not-started')
  assert.equal(of('Kernel panic - not syncing: Attempted to kill init!'), 'kernel-panicked')
})

test('where a silent card is connected is told', async () => {
  const uuid = await machine()
  const link = { switch_id: '0a:1b:2c:3d:4e:5f', switch_info: 'rack7-sw1', port_id: 'Eth1/7' }
  await db
    .updateTable('ports')
    .set({ local_link_connection: JSON.stringify(link) })
    .execute()
  const { cause, evidence } = diagnoseBoot(await bootRecord(db, uuid, timestamp(startMs)), usual)
  assert.deepEqual(
    [cause, evidence[0]],
    ['no-dhcp', `${mac} is known to be connected to port Eth1/7 of switch rack7-sw1`],
  )
})

test('whoever asks in a loop, or under ever new addresses, fills no database', async () => {
  const uuid = await machine()
  let nowMs = startMs
  const sightings = new Sightings({ db, clock: { now: () => nowMs } })
  const count = async () => (await db.selectFrom('events').select('id').execute()).length
  for (let time = 0; time < 50; time++) await sightings.trouble({ nodeUuid: uuid }, http('/x', 404))
  assert.equal(await count(), 1)
  nowMs += 31_000
  await sightings.trouble({ nodeUuid: uuid }, http('/x', 404))
  assert.equal(await count(), 2)
  for (let one = 0; one < 1000; one++)
    await sightings.stranger('dhcp', [`52:54:00:01:${(one >> 8).toString(16)}:${one & 255}`])
  assert.ok((await count()) < 100, `${await count()} events`)
})
