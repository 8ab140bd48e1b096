import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { Failure, type FakeProgram, type FakePrograms, fakePrograms, fillDevice } from '../fake-programs.ts'
import { type LoopDisk, makeLoopDisk, needsRoot } from '../loop-disk.ts'
import { type AtaSecurity, ataSecurity, eraseNvme, sanitizeStatus } from './secure-erase.ts'
import { runStep } from './test-run.ts'

const MIB = 1024 * 1024

interface Security extends AtaSecurity {
  password?: string
  /** Commands that the disk fails. */
  refuses?: string[]
  keepsPassword?: boolean
}

/** Speaks as hdparm does of a disk in this state; an erase fills the device with sevens. Null: no ATA disk. */
const hdparm =
  (state: Security | null): FakeProgram =>
  args => {
    const device = args.at(-1) ?? ''
    if (state === null) throw new Failure('SG_IO: bad/missing sense data')
    if (args[0] === '-I') return identify(device, state)
    const [, , command = '', password] = args
    if (state.frozen) throw new Failure('SG_IO: frozen', 5)
    if (command === '--security-set-pass') Object.assign(state, { enabled: true, password })
    else if (password !== state.password || state.refuses?.includes(command)) {
      throw new Failure(`${command}: Input/output error`, 5)
    } else if (command === '--security-unlock') state.locked = false
    else if (command === '--security-disable') state.enabled = false
    else {
      fillDevice(device, 7)
      state.enabled = state.keepsPassword ?? false
    }
    return
  }

function identify(device: string, state: Security): string {
  const line = (name: 'supported' | 'enabled' | 'locked' | 'frozen') => `\t${state[name] ? '' : 'not'}\t${name}\n`
  return (
    `\n${device}:\n\nATA device, with non-removable media\nCapabilities:\n\tLBA, IORDY\nSecurity: \n` +
    `\tMaster password revision code = 65534\n${line('supported')}${line('enabled')}${line('locked')}${line('frozen')}` +
    `\tnot\texpired: security count\n${state.enhanced ? '\t' : '\tnot'}\tsupported: enhanced erase\n` +
    '\t2min for SECURITY ERASE UNIT.\nChecksum: correct\n'
  )
}

const smartctl =
  (security = 'Disabled, NOT FROZEN [SEC1]'): FakeProgram =>
  () =>
    JSON.stringify({ ata_security: { string: security } })

interface Controller {
  oacs?: number
  fna?: number
  sanicap?: number
  refuses?: boolean
  /** How a sanitize ends, and how often its end was asked for. */
  result?: number
  polls?: number
}

/** Speaks as nvme-cli does. A format or sanitize fills the device with eights. */
const nvme =
  (state: Controller): FakeProgram =>
  ([command, device = '']) => {
    if (command === 'id-ctrl') return JSON.stringify({ vid: 6900, ...state })
    if (command === 'sanitize-log') {
      state.polls = (state.polls ?? 0) + 1
      const status = state.polls < 3 ? 2 : (state.result ?? 1)
      return JSON.stringify({ nvme0: { sprog: 65535, sstat: { media_erased: 1, status: `(${status}) of the last` } } })
    }
    if (state.refuses) throw new Failure('NVMe status: INVALID_FORMAT')
    if (command !== 'format' && command !== 'sanitize') throw new Failure('unknown command')
    fillDevice(device, 8)
    return
  }

describe('secure erase, with programs that speak as hdparm and nvme-cli do', { skip: needsRoot }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'ferrite-secure-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  let fakes: FakePrograms
  let disk: LoopDisk
  beforeEach(async () => {
    fakes = await fakePrograms()
    fakes.add('smartctl', smartctl())
    disk = makeLoopDisk(8)
    execFileSync('sh', ['-c', `yes secret | head -c ${8 * MIB} > ${disk.device}`])
  })
  afterEach(async () => {
    await fakes.remove()
    disk.remove()
  })

  const erase = (tran: string, hints: Record<string, unknown> = {}, step = 'erase_devices') =>
    runStep({ devices: [disk.device], stateDir: dir, disguise: found => ({ ...found, tran }) }, step, {
      driver_internal_info: hints,
    }).then(done => (done as Record<string, string>)[disk.device])
  const isFilledWith = (byte: number) => readFileSync(disk.device).every(found => found === byte)
  const able = { supported: true, enabled: false, locked: false, frozen: false, enhanced: true }
  const commands = (name: string) => fakes.calls.filter(call => call.startsWith(`${name} `) && !/ -I /.test(call))

  test('ATA: password, enhanced erase, and no password afterwards', async () => {
    fakes.add('hdparm', hdparm({ ...able }))
    assert.equal(await erase('sata'), 'ATA enhanced secure erase')
    assert.ok(isFilledWith(7))
    assert.deepEqual(commands('hdparm'), [
      `hdparm --user-master u --security-set-pass NULL ${disk.device}`,
      `hdparm --user-master u --security-erase-enhanced NULL ${disk.device}`,
    ])
  })

  test('ATA: the plain erase where there is no enhanced one, or where that fails', async () => {
    fakes.add('hdparm', hdparm({ ...able, enhanced: false }))
    assert.equal(await erase('sata'), 'ATA secure erase')
    fakes.add('hdparm', hdparm({ ...able, refuses: ['--security-erase-enhanced'] }))
    assert.equal(await erase('sata'), 'ATA secure erase')
  })

  test('ATA: a disk locked by an erase that was cut short is unlocked; one with a strange password fails', async () => {
    fakes.add('hdparm', hdparm({ ...able, enabled: true, locked: true, password: 'NULL' }))
    assert.equal(await erase('sata'), 'ATA enhanced secure erase')
    fakes.add('hdparm', hdparm({ ...able, enabled: true, locked: true, password: 'theirs' }))
    await assert.rejects(erase('sata'), {
      type: 'BlockDeviceEraseError',
      message: /overwriting instead is not allowed: the disk is locked with an unknown password/,
    })
  })

  test('ATA: a frozen disk fails, or is overwritten where the node allows that', async () => {
    fakes.add('hdparm', hdparm({ ...able, frozen: true }))
    await assert.rejects(erase('sata'), { message: /frozen the security state/ })
    const hints = { agent_continue_if_secure_erase_failed: true, agent_erase_devices_iterations: 0 }
    assert.match((await erase('sata', hints)) ?? '', /^overwritten 0 times .* once with zeros/)
    assert.ok(isFilledWith(0))
  })

  test('ATA: an erase that fails leaves no password behind; one that keeps it has failed', async () => {
    const state: Security = { ...able, refuses: ['--security-erase-enhanced', '--security-erase'] }
    fakes.add('hdparm', hdparm(state))
    await assert.rejects(erase('sata'), { message: /Input\/output error/ })
    assert.equal(state.enabled, false)
    fakes.add('hdparm', hdparm({ ...able, keepsPassword: true }))
    await assert.rejects(erase('sata'), { message: /still has a password/ })
  })

  test('no secure erase: not an ATA disk, not supported, hidden by its adapter, not wanted', async () => {
    const hints = { agent_erase_devices_iterations: 0 }
    for (const [state, security, more] of [
      [null, undefined, {}],
      [{ ...able, supported: false }, undefined, {}],
      [{ ...able }, 'Unavailable', {}],
      [{ ...able }, undefined, { agent_enable_ata_secure_erase: false }],
    ] as const) {
      fakes.add('hdparm', hdparm(state))
      fakes.add('smartctl', smartctl(security))
      assert.match((await erase('sata', { ...hints, ...more })) ?? '', /^overwritten/)
      assert.deepEqual(commands('hdparm'), [])
    }
  })

  test('a disk that holds something else than the zeros it was sent does not pass as erased', async () => {
    // What is flushed is what the kernel remembered; below it, this disk has kept something of its own.
    fakes.add('blockdev', ([option, device = '']) => void (option === '--flushbufs' && fillDevice(device, 1)))
    fakes.add('hdparm', hdparm(null))
    await assert.rejects(erase('sata', { agent_erase_devices_iterations: 0 }), {
      message: /was overwritten with zeros, but at byte 0 it holds something else/,
    })
  })

  test('NVMe: format, cryptographic where the drive can', async () => {
    fakes.add('nvme', nvme({ oacs: 6, fna: 4, sanicap: 3 }))
    assert.equal(await erase('nvme'), 'NVMe format with cryptographic erase')
    assert.ok(isFilledWith(8))
    fakes.add('nvme', nvme({ oacs: 2, fna: 0 }))
    assert.equal(await erase('nvme'), 'NVMe format with user data erase')
    const formats = commands('nvme').filter(call => call.startsWith('nvme format'))
    assert.deepEqual(formats, [
      `nvme format ${disk.device} --ses 2 --force`,
      `nvme format ${disk.device} --ses 1 --force`,
    ])
  })

  test('NVMe: a drive that cannot format is sanitized; what neither can is overwritten', async () => {
    const drive: Controller = { oacs: 0, fna: 0, sanicap: 0b10 }
    fakes.add('nvme', nvme(drive))
    const done = await eraseNvme(disk.device, { spared: [], signal: new AbortController().signal, pollMs: 1 })
    assert.equal(done, 'NVMe sanitize with block erase')
    assert.equal(drive.polls, 3)
    assert.ok(isFilledWith(8))
    fakes.add('nvme', nvme({ oacs: 0, sanicap: 0b01, result: 3 }))
    const failing = eraseNvme(disk.device, { spared: [], signal: new AbortController().signal, pollMs: 1 })
    await assert.rejects(failing, { message: /ended with status 3/ })
    fakes.add('nvme', nvme({ oacs: 0, sanicap: 0b100 }))
    assert.match((await erase('nvme')) ?? '', /^overwritten/)
  })

  test('NVMe: what would take a protected namespace with it is refused', async () => {
    const signal = new AbortController().signal
    const spared = ['/dev/nvme0n2', '/dev/nvme1n1']
    for (const controller of [
      { oacs: 2, fna: 0b10 },
      { oacs: 0, sanicap: 1 },
    ]) {
      fakes.add('nvme', nvme(controller))
      await assert.rejects(eraseNvme('/dev/nvme0n1', { spared, signal }), {
        type: 'ProtectedDeviceError',
        message: /would take \/dev\/nvme0n2 of the same controller with it/,
      })
    }
  })

  test('NVMe: a format that fails is a failed step; express removes metadata instead', async () => {
    fakes.add('nvme', nvme({ oacs: 2, fna: 0, refuses: true }))
    await assert.rejects(erase('nvme'), { message: /INVALID_FORMAT/ })
    assert.match((await erase('nvme', {}, 'erase_devices_express')) ?? '', /^metadata erased, since .*INVALID_FORMAT/)
    fakes.add('nvme', nvme({ oacs: 2, fna: 4 }))
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
