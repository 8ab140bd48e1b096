import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { type FakePrograms, fakePrograms } from '../fake-programs.ts'
import { type LoopDisk, makeLoopDisk, needsRoot } from '../loop-disk.ts'
import { ataSecurity, eraseNvme, sanitizeStatus } from './secure-erase.ts'
import { runStep } from './test-run.ts'

const MIB = 1024 * 1024

/** Speaks as hdparm does of a disk whose security state is in `state`; an erase fills the device with sevens. */
const hdparm = String.raw`
const device = args.at(-1)
const not = name => '\t' + (state[name] ? '' : 'not') + '\t'
if (args[0] === '-I') {
  if (state.ata === false) fail('SG_IO: bad/missing sense data')
  out('\n' + device + ':\n\nATA device, with non-removable media\nCapabilities:\n\tLBA, IORDY\nSecurity: \n' +
    '\tMaster password revision code = 65534\n' + not('supported') + 'supported\n' + not('enabled') + 'enabled\n' +
    not('locked') + 'locked\n' + not('frozen') + 'frozen\n\tnot\texpired: security count\n' +
    (state.enhanced ? '\t\tsupported: enhanced erase\n' : '\tnot\tsupported: enhanced erase\n') +
    '\t2min for SECURITY ERASE UNIT.\nChecksum: correct\n')
} else {
  const command = args[2]
  if (state.frozen) fail('SG_IO: frozen')
  if (command === '--security-unlock') {
    if (args[3] !== state.password) fail('SECURITY_UNLOCK: Input/output error', 5)
    state.locked = false
  } else if (command === '--security-set-pass') {
    state.enabled = true
    state.password = args[3]
  } else if (command === '--security-disable') {
    state.enabled = false
  } else {
    if ((state.refuses ?? []).includes(command)) fail('SECURITY_ERASE: Input/output error', 5)
    if (!state.enabled || args[3] !== state.password) fail('SECURITY_ERASE: no password', 5)
    fill(device, 7)
    state.enabled = state.keepsPassword ?? false
  }
}
`
const smartctl = `out('{"ata_security":{"string":"' + (state.security ?? 'Disabled, NOT FROZEN [SEC1]') + '"}}')`

/** Speaks as nvme-cli does. A format or sanitize fills the device with eights. */
const nvme = `
const device = args[1]
if (args[0] === 'id-ctrl') out(JSON.stringify({ vid: 6900, oacs: state.oacs, fna: state.fna, sanicap: state.sanicap }))
else if (args[0] === 'format') {
  if (state.refuses) fail('NVMe status: INVALID_FORMAT')
  fill(device, 8)
} else if (args[0] === 'sanitize') { fill(device, 8); state.polls = 0 }
else if (args[0] === 'sanitize-log') {
  const status = ++state.polls < 3 ? 2 : state.result ?? 1
  out(JSON.stringify({ nvme0: { sprog: 65535, sstat: { media_erased: 1, status: '(' + status + ') of the last sanitize' } } }))
} else fail('unknown command')
`

describe('secure erase, with programs that speak as hdparm and nvme-cli do', { skip: needsRoot }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'ferrite-secure-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  let fakes: FakePrograms
  let disk: LoopDisk
  beforeEach(() => {
    fakes = fakePrograms()
    fakes.add('smartctl', smartctl)
    disk = makeLoopDisk(8)
    execFileSync('sh', ['-c', `yes secret | head -c ${8 * MIB} > ${disk.device}`])
  })
  afterEach(() => {
    fakes.remove()
    disk.remove()
  })

  const erase = (tran: string, hints: Record<string, unknown> = {}, step = 'erase_devices') =>
    runStep({ devices: [disk.device], stateDir: dir, disguise: found => ({ ...found, tran }) }, step, {
      driver_internal_info: hints,
    }).then(done => (done as Record<string, string>)[disk.device])
  const isFilledWith = (byte: number) => readFileSync(disk.device).every(found => found === byte)
  const able = { supported: true, enabled: false, locked: false, frozen: false, enhanced: true }
  const commands = (name: string) => fakes.calls().filter(call => call.startsWith(`${name} `) && !/ -I /.test(call))

  test('ATA: password, enhanced erase, and no password afterwards', async () => {
    fakes.add('hdparm', hdparm, able)
    assert.equal(await erase('sata'), 'ATA enhanced secure erase')
    assert.ok(isFilledWith(7))
    assert.deepEqual(commands('hdparm'), [
      `hdparm --user-master u --security-set-pass NULL ${disk.device}`,
      `hdparm --user-master u --security-erase-enhanced NULL ${disk.device}`,
    ])
  })

  test('ATA: the plain erase where there is no enhanced one, or where that fails', async () => {
    fakes.add('hdparm', hdparm, { ...able, enhanced: false })
    assert.equal(await erase('sata'), 'ATA secure erase')
    fakes.add('hdparm', hdparm, { ...able, refuses: ['--security-erase-enhanced'] })
    assert.equal(await erase('sata'), 'ATA secure erase')
  })

  test('ATA: a disk locked by an erase that was cut short is unlocked; one with a strange password fails', async () => {
    fakes.add('hdparm', hdparm, { ...able, enabled: true, locked: true, password: 'NULL' })
    assert.equal(await erase('sata'), 'ATA enhanced secure erase')
    fakes.add('hdparm', hdparm, { ...able, enabled: true, locked: true, password: 'theirs' })
    await assert.rejects(erase('sata'), {
      type: 'BlockDeviceEraseError',
      message: /overwriting instead is not allowed: the disk is locked with an unknown password/,
    })
  })

  test('ATA: a frozen disk fails, or is overwritten where the node allows that', async () => {
    fakes.add('hdparm', hdparm, { ...able, frozen: true })
    await assert.rejects(erase('sata'), { message: /frozen the security state/ })
    const hints = { agent_continue_if_secure_erase_failed: true, agent_erase_devices_iterations: 0 }
    assert.match((await erase('sata', hints)) ?? '', /^overwritten 0 times .* once with zeros/)
    assert.ok(isFilledWith(0))
  })

  test('ATA: an erase that fails leaves no password behind; one that keeps it has failed', async () => {
    fakes.add('hdparm', hdparm, { ...able, refuses: ['--security-erase-enhanced', '--security-erase'] })
    await assert.rejects(erase('sata'), { message: /Input\/output error/ })
    assert.equal(fakes.state('hdparm').enabled, false)
    fakes.add('hdparm', hdparm, { ...able, keepsPassword: true })
    await assert.rejects(erase('sata'), { message: /still has a password/ })
  })

  test('no secure erase: not an ATA disk, not supported, hidden by its adapter, not wanted', async () => {
    const hints = { agent_erase_devices_iterations: 0 }
    for (const [state, security, more] of [
      [{ ata: false }, undefined, {}],
      [{ ...able, supported: false }, undefined, {}],
      [able, 'Unavailable', {}],
      [able, undefined, { agent_enable_ata_secure_erase: false }],
    ] as const) {
      fakes.add('hdparm', hdparm, state)
      fakes.add('smartctl', smartctl, security === undefined ? {} : { security })
      assert.match((await erase('sata', { ...hints, ...more })) ?? '', /^overwritten/)
      assert.deepEqual(commands('hdparm'), [])
    }
  })

  test('a disk that holds something else than the zeros it was sent does not pass as erased', async () => {
    // What is flushed is what the kernel remembered; below it, this disk has kept something of its own.
    fakes.add('blockdev', "if (args[0] === '--flushbufs') fill(args[1], 1)")
    fakes.add('hdparm', hdparm, { ata: false })
    await assert.rejects(erase('sata', { agent_erase_devices_iterations: 0 }), {
      message: /was overwritten with zeros, but at byte 0 it holds something else/,
    })
  })

  test('NVMe: format, cryptographic where the drive can', async () => {
    fakes.add('nvme', nvme, { oacs: 6, fna: 4, sanicap: 3 })
    assert.equal(await erase('nvme'), 'NVMe format with cryptographic erase')
    assert.ok(isFilledWith(8))
    fakes.add('nvme', nvme, { oacs: 2, fna: 0 })
    assert.equal(await erase('nvme'), 'NVMe format with user data erase')
    const formats = commands('nvme').filter(call => call.startsWith('nvme format'))
    assert.deepEqual(formats, [
      `nvme format ${disk.device} --ses 2 --force`,
      `nvme format ${disk.device} --ses 1 --force`,
    ])
  })

  test('NVMe: a drive that cannot format is sanitized; what neither can is overwritten', async () => {
    fakes.add('nvme', nvme, { oacs: 0, fna: 0, sanicap: 0b10 })
    const done = await eraseNvme(disk.device, { spared: [], signal: new AbortController().signal, pollMs: 1 })
    assert.equal(done, 'NVMe sanitize with block erase')
    assert.equal(fakes.state('nvme').polls, 3)
    assert.ok(isFilledWith(8))
    fakes.add('nvme', nvme, { oacs: 0, sanicap: 0b01, result: 3 })
    const failing = eraseNvme(disk.device, { spared: [], signal: new AbortController().signal, pollMs: 1 })
    await assert.rejects(failing, { message: /ended with status 3/ })
    fakes.add('nvme', nvme, { oacs: 0, sanicap: 0b100 })
    assert.match((await erase('nvme')) ?? '', /^overwritten/)
  })

  test('NVMe: what would take a protected namespace with it is refused', async () => {
    const signal = new AbortController().signal
    const spared = ['/dev/nvme0n2', '/dev/nvme1n1']
    for (const controller of [
      { oacs: 2, fna: 0b10 },
      { oacs: 0, sanicap: 1 },
    ]) {
      fakes.add('nvme', nvme, controller)
      await assert.rejects(eraseNvme('/dev/nvme0n1', { spared, signal }), {
        type: 'ProtectedDeviceError',
        message: /would take \/dev\/nvme0n2 of the same controller with it/,
      })
    }
  })

  test('NVMe: a format that fails is a failed step; express removes metadata instead', async () => {
    fakes.add('nvme', nvme, { oacs: 2, fna: 0, refuses: true })
    await assert.rejects(erase('nvme'), { message: /INVALID_FORMAT/ })
    assert.match((await erase('nvme', {}, 'erase_devices_express')) ?? '', /^metadata erased, since .*INVALID_FORMAT/)
    fakes.add('nvme', nvme, { oacs: 2, fna: 4 })
    assert.equal(await erase('nvme', {}, 'erase_devices_express'), 'NVMe format with cryptographic erase')
    assert.equal(await erase('sata', {}, 'erase_devices_express'), 'metadata erased')
  })
})

test('the status of a sanitize is found in every form nvme-cli has for it', () => {
  for (const text of [
    '{"nvme0":{"sprog":65535,"sstat":{"global_erased":1,"no_cmplted_passes":0,"status":"(1) Completed"}}}',
    '{"sprog":65535,"sstat":{"status":1}}',
    '{"sprog":65535,"sstat":257}',
  ]) {
    assert.equal(sanitizeStatus(text), 1)
  }
  assert.throws(() => sanitizeStatus('{"sprog":1}'), /no status/)
})

test('the security section of hdparm is read line by line', () => {
  const text = (enabled: string, frozen: string) =>
    `ATA device\nCapabilities:\n\tLBA\nSecurity: \n\tMaster password revision code = 65534\n\t\tsupported\n\t${enabled}enabled\n\tnot\tlocked\n\t${frozen}frozen\n\tnot\texpired: security count\n\t\tsupported: enhanced erase\n\t6min for SECURITY ERASE UNIT.\nLogical Unit WWN: x\n\t\tenabled\n`
  assert.deepEqual(ataSecurity(text('not\t', 'not\t')), {
    supported: true,
    enabled: false,
    locked: false,
    frozen: false,
    enhanced: true,
  })
  assert.deepEqual(ataSecurity(text('\t', '\t')), {
    supported: true,
    enabled: true,
    locked: false,
    frozen: true,
    enhanced: true,
  })
  assert.deepEqual(ataSecurity('no ATA'), {
    supported: false,
    enabled: false,
    locked: false,
    frozen: false,
    enhanced: false,
  })
})
