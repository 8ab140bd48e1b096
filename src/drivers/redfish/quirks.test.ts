/**
 * Firmware that differs, as conversations with it: what it shows of itself, and for each request of ours how it answers. They
 * are written after what is published of such firmware; the evidence stands beside each entry of the table.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testContext } from '../test-context.ts'
import { driverInfoOf, fakeBmc, openPort, redfishError } from './fake-bmc.ts'
import management from './management.ts'
import { quirkEntries, quirksOf } from './quirks.ts'

type Body = Record<string, unknown>

interface Conversation {
  /** Entries of the table that it is about. */
  of: readonly string[]
  manufacturer: string
  boot: Body
  /** What the firmware answers to a change of Boot, and what it makes of it; undefined: as any other. */
  changed?: (boot: Body, change: Body) => Response | undefined
  act: 'disk for good' | 'pxe once'
  /** What we send, in order. */
  sent: readonly Body[]
  /** How the firmware stands in the end. */
  ends: Body
}

const allowed = { 'BootSourceOverrideTarget@Redfish.AllowableValues': ['None', 'Pxe', 'Hdd', 'Cd'] }

const conversations: readonly Conversation[] = [
  {
    of: ['ami-whole-override'],
    manufacturer: 'American Megatrends Inc.',
    boot: {
      BootSourceOverrideEnabled: 'Disabled',
      BootSourceOverrideTarget: 'None',
      BootSourceOverrideMode: 'UEFI',
      ...allowed,
    },
    changed: (_boot, change) =>
      Object.keys(change).length < 3
        ? redfishError(400, 'PropertyMissing', 'The property BootSourceOverrideMode is required.')
        : undefined,
    act: 'pxe once',
    sent: [{ BootSourceOverrideTarget: 'Pxe', BootSourceOverrideMode: 'UEFI', BootSourceOverrideEnabled: 'Once' }],
    ends: { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once', BootSourceOverrideMode: 'UEFI' },
  },
  {
    of: ['supermicro-boot'],
    manufacturer: 'Supermicro',
    boot: {
      BootSourceOverrideEnabled: 'Once',
      BootSourceOverrideTarget: 'Pxe',
      BootSourceOverrideMode: 'UEFI',
      ...allowed,
    },
    // A boot device that is set brings the mode of the board's default.
    changed(boot, change) {
      if ('BootSourceOverrideTarget' in change) Object.assign(boot, { BootSourceOverrideMode: 'Legacy' })
      return undefined
    },
    act: 'pxe once',
    sent: [{ BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' }, { BootSourceOverrideMode: 'UEFI' }],
    ends: { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once', BootSourceOverrideMode: 'UEFI' },
  },
  {
    of: [],
    manufacturer: 'Acme',
    boot: {
      BootSourceOverrideEnabled: 'Disabled',
      BootSourceOverrideTarget: 'None',
      BootSourceOverrideMode: 'UEFI',
      ...allowed,
    },
    // No lasting overrides: the next boot has to do.
    changed: (_boot, change) =>
      change.BootSourceOverrideEnabled === 'Continuous'
        ? redfishError(400, 'PropertyValueNotInList', 'The value Continuous is not supported.')
        : undefined,
    act: 'disk for good',
    sent: [
      { BootSourceOverrideTarget: 'Hdd', BootSourceOverrideEnabled: 'Continuous' },
      { BootSourceOverrideTarget: 'Hdd', BootSourceOverrideEnabled: 'Once' },
    ],
    ends: { BootSourceOverrideTarget: 'Hdd', BootSourceOverrideEnabled: 'Once', BootSourceOverrideMode: 'UEFI' },
  },
]

for (const { of, manufacturer, boot, changed, act, sent, ends } of conversations) {
  test(`${manufacturer}: ${act} (${of.join(', ') || 'no entry of the table'})`, async () => {
    const bmc = fakeBmc({
      manufacturer,
      boot: { ...boot },
      before: (request, body) => {
        if (request.method !== 'PATCH') return undefined
        return changed?.(bmc.boot, (body as { Boot: Body }).Boot) // what the driver under test sends
      },
    })
    const port = await openPort(bmc.handle)
    const ctx = await testContext({
      node: {
        driver_info: driverInfoOf(port),
      },
    })
    try {
      await management.setBootDevice(ctx, act === 'pxe once' ? 'pxe' : 'disk', { persistent: act === 'disk for good' })
      assert.deepEqual(
        bmc.bodies,
        sent.map(Boot => ({ Boot })),
      )
      for (const [name, value] of Object.entries(ends)) assert.equal(bmc.boot[name], value, name)
    } finally {
      await ctx[Symbol.asyncDispose]()
      await port[Symbol.asyncDispose]()
    }
  })
}

test('entries fit by maker, model and version of the firmware, part by part', () => {
  const dell = (firmware: string | null) =>
    quirksOf({ vendor: 'Dell Inc.', model: 'PowerEdge R640', firmware }).noMediaBoot
  assert.match(dell('5.10.50.00') ?? '', /iDRAC firmware before 6/)
  assert.equal(dell('6.00.30.00'), null)
  assert.equal(dell('10.05'), null, 'ten is above six')
  assert.equal(dell(null), null, 'what is not known is not held against it')
  assert.equal(quirksOf({ vendor: null, model: null, firmware: null }).wholeBootOverride, false)
})

test('each entry says where its behaviour is documented, and is named once', () => {
  const names = quirkEntries.map(entry => entry.name)
  assert.equal(new Set(names).size, names.length)
  for (const { name, evidence, quirks } of quirkEntries) {
    assert.ok(evidence.length > 20, name)
    assert.ok(Object.keys(quirks).length > 0, name)
  }
})
