import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { fakeFirmware } from '../image/boot/fake-efibootmgr.ts'
import { type LoopDisk, makeLoopDisk, needsRoot } from '../loop-disk.ts'
import { readHints } from './erase-devices.ts'
import { runStep as runOn } from './test-run.ts'

const MIB = 1024 * 1024

describe('erasing loop devices', { skip: needsRoot }, () => {
  const disks: LoopDisk[] = []
  const dir = mkdtempSync(join(tmpdir(), 'ferrite-erase-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  const makeDisk = (...args: Parameters<typeof makeLoopDisk>) => {
    const disk = makeLoopDisk(...args)
    disks.push(disk)
    return disk
  }
  afterEach(() => {
    for (const disk of disks.splice(0)) disk.remove()
  })

  const runStep = (step: string, hints: Record<string, unknown> = {}, node: Record<string, unknown> = {}) =>
    runOn({ devices: disks.map(({ device }) => device), stateDir: dir }, step, { driver_internal_info: hints, ...node })

  const signatures = (device: string) => execFileSync('wipefs', ['--noheadings', device]).toString()

  function read(device: string, from: number, length: number): Buffer {
    const handle = openSync(device, 'r')
    const buffer = Buffer.alloc(length)
    readSync(handle, buffer, 0, length, from)
    closeSync(handle)
    return buffer
  }

  for (const [label, sectorBytes] of [
    ['gpt', 512],
    ['dos', 512],
    ['gpt', 4096],
  ] as const) {
    test(`metadata: ${label} with sectors of ${sectorBytes}, its backup, partitions and their file systems`, async () => {
      const disk = makeDisk(64, { sectorBytes })
      execFileSync('sh', ['-c', `head -c ${64 * MIB} /dev/urandom > ${disk.device}`])
      execFileSync('sfdisk', ['--quiet', '--wipe=always', disk.device], {
        input: `label: ${label}\nsize=8M\nsize=8M\n`,
      })
      execFileSync('partx', ['--update', disk.device])
      execFileSync('mkfs.ext4', ['-qF', `${disk.device}p1`])
      execFileSync('mkswap', [`${disk.device}p2`], { stdio: 'ignore' })
      const middle = read(disk.device, 32 * MIB, MIB)

      assert.deepEqual(await runStep('erase_devices_metadata'), { [disk.device]: 'erased' })

      assert.equal(signatures(disk.device), '')
      assert.ok(
        read(disk.device, 0, 2 * MIB).every(byte => byte === 0),
        'the start, and the start of the first partition',
      )
      assert.ok(
        read(disk.device, 63 * MIB, MIB).every(byte => byte === 0),
        'the end',
      )
      assert.ok(read(disk.device, 32 * MIB, MIB).equals(middle), 'data in between stay')
      assert.throws(() => read(`${disk.device}p1`, 0, 512), /ENOENT|ENXIO/)
      // The file systems are gone too: putting the same table back does not bring them back.
      execFileSync('sfdisk', ['--quiet', '--wipe=never', disk.device], { input: `label: ${label}\nsize=8M\nsize=8M\n` })
      execFileSync('partx', ['--update', disk.device])
      assert.equal(signatures(`${disk.device}p1`) + signatures(`${disk.device}p2`), '')
    })
  }

  test('one disk in use does not spare the others, and is named', async () => {
    const [used, free] = [makeDisk(32), makeDisk(32)]
    execFileSync('mkfs.ext4', ['-qF', used.device])
    execFileSync('mkfs.ext4', ['-qF', free.device])
    const mount = mkdtempSync(join(dir, 'mount-'))
    execFileSync('mount', [used.device, mount])
    try {
      await assert.rejects(runStep('erase_devices_metadata'), {
        type: 'BlockDeviceEraseError',
        message: `Erasing the metadata of 1 disks failed: ${used.device}: Cannot write to ${used.device}: it is in use by a mount at ${mount}`,
      })
    } finally {
      execFileSync('umount', [mount])
    }
    assert.match(signatures(used.device), /ext4/)
    assert.equal(signatures(free.device), '')
  })

  test('a read-only disk fails the step, or is skipped where the node allows it', async () => {
    const disk = makeDisk(32)
    execFileSync('mkfs.ext4', ['-qF', disk.device])
    execFileSync('blockdev', ['--setro', disk.device])
    try {
      await assert.rejects(runStep('erase_devices_metadata'), { message: /the disk is read-only/ })
      assert.deepEqual(await runStep('erase_devices_metadata', { agent_erase_skip_read_only: true }), {
        [disk.device]: 'skipped: read-only',
      })
    } finally {
      // A loop device keeps this for its next user.
      execFileSync('blockdev', ['--setrw', disk.device])
    }
    assert.match(signatures(disk.device), /ext4/)
  })

  test('a disk with a partition of a cluster file system is protected, until the guard is switched off', async () => {
    const disk = makeDisk(32)
    execFileSync('sfdisk', ['--quiet', disk.device], {
      input: 'label: gpt\nsize=8M\nsize=8M, type=AA31E02A-400F-11DB-9590-000C2911D1B8\n',
    })
    execFileSync('partx', ['--update', disk.device])
    await assert.rejects(runStep('erase_devices_metadata'), { message: /p2 holds the cluster file system VMFS/ })
    assert.match(signatures(disk.device), /gpt/)
    const devices = [disk.device]
    await runOn({ devices, stateDir: dir, options: { guardSpecialFilesystems: false } }, 'erase_devices_metadata')
    assert.equal(signatures(disk.device), '')
  })

  test('erase_devices overwrites every byte: random passes, then zeros', async () => {
    const disk = makeDisk(21)
    execFileSync('sh', ['-c', `yes secret | head -c ${21 * MIB} > ${disk.device}`])
    const done = await runStep('erase_devices', { agent_erase_devices_iterations: 1, disk_erasure_concurrency: 4 })
    assert.deepEqual(done, { [disk.device]: 'overwritten 1 times with random data and once with zeros' })
    assert.ok(readFileSync(disk.device).every(byte => byte === 0))

    execFileSync('sh', ['-c', `yes secret | head -c ${21 * MIB} > ${disk.device}`])
    await runStep('erase_devices', { agent_erase_devices_zeroize: false })
    assert.ok(!readFileSync(disk.device).includes('secret'))

    const nothing = { agent_erase_devices_iterations: 0, agent_erase_devices_zeroize: false }
    await assert.rejects(runStep('erase_devices', nothing), {
      message: /neither secure erase nor a pass of overwriting/,
    })
  })

  test('the node may allow what the kernel parameter guards', async () => {
    const disk = makeDisk(32)
    execFileSync('sfdisk', ['--quiet', disk.device], { input: 'label: dos\nsize=8M, type=fb\n' })
    execFileSync('partx', ['--update', disk.device])
    await assert.rejects(runStep('erase_devices_express'), { message: /p1 holds the cluster file system VMFS/ })
    await runStep('erase_devices_express', {}, { driver_info: { wipe_special_filesystems: 'true' } })
    assert.equal(signatures(disk.device), '')
  })

  test('skip_block_devices: disks by hints stay as they are, and what is no list erases nothing', async () => {
    const [kept, free] = [makeDisk(24), makeDisk(32)]
    for (const { device } of disks) execFileSync('mkfs.ext4', ['-qF', device])
    const skip = (skip_block_devices: unknown) => ({ properties: { skip_block_devices } })
    for (const bad of [{ name: kept.device }, [kept.device], [{}], [{ size: 'large' }], [{ volume_name: 5 }]]) {
      for (const step of ['erase_devices', 'erase_devices_metadata', 'erase_devices_express']) {
        await assert.rejects(runStep(step, {}, skip(bad)), {
          type: 'ProtectedDeviceError',
          message: /skip_block_devices/,
        })
      }
    }
    for (const { device } of disks) assert.match(signatures(device), /ext4/)
    for (const step of ['erase_devices_metadata', 'erase_devices_express', 'erase_devices']) {
      const done = await runStep(step, {}, skip([{ name: kept.device, size: '<= 1' }, { serial: 'another' }]))
      assert.equal((done as Record<string, string>)[kept.device], 'skipped: protected by skip_block_devices')
    }
    assert.match(signatures(kept.device), /ext4/)
    assert.ok(readFileSync(free.device).every(byte => byte === 0))
  })

  test('a disk that stops taking writes fails the step, and the others are erased all the same', async () => {
    // A file system with too little room under a sparse file: writes beyond it are errors of the disk.
    const small = mkdtempSync(join(dir, 'small-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6M', 'none', small])
    const file = join(small, 'disk')
    execFileSync('truncate', ['--size=24M', file])
    const broken = execFileSync('losetup', ['--find', '--show', file]).toString().trim()
    try {
      const good = makeDisk(8)
      execFileSync('sh', ['-c', `yes secret | head -c ${8 * MIB} > ${good.device}`])
      const hints = { driver_internal_info: { disk_erasure_concurrency: 2 } }
      const devices = [broken, good.device]
      await assert.rejects(runOn({ devices, stateDir: dir }, 'erase_devices', hints), {
        type: 'BlockDeviceEraseError',
        message: new RegExp(`^Erasing 1 of 2 disks failed: ${broken}: .*(EIO|ENOSPC)`),
      })
      assert.ok(readFileSync(good.device).every(byte => byte === 0))
    } finally {
      execFileSync('losetup', ['--detach', broken])
      execFileSync('umount', [small])
    }
  })

  test('several disks at once, as many as the node says, with progress over all of them', async () => {
    for (let index = 0; index < 3; index++) makeDisk(8)
    const seen: { bytes: number; total_bytes: number | null; detail?: string }[] = []
    const devices = disks.map(({ device }) => device)
    const setup = { devices, stateDir: dir, progress: (now: (typeof seen)[number]) => void seen.push(now) }
    await runOn(setup, 'erase_devices', { driver_internal_info: { disk_erasure_concurrency: 3 } })
    assert.equal(seen.at(-1)?.bytes, 24 * MIB)
    assert.ok(seen.every(({ total_bytes }) => total_bytes === 24 * MIB))
    const unfinished = seen.find(({ detail }) => detail?.split(', ').length === 3)
    assert.ok(unfinished && unfinished.bytes < 24 * MIB, 'all three were at work before one had ended')
  })

  test('pstore is emptied', async () => {
    const pstore = mkdtempSync(join(dir, 'pstore-'))
    writeFileSync(join(pstore, 'dmesg-efi-1'), 'oops')
    writeFileSync(join(pstore, 'dmesg-efi-2'), 'oops')
    const setup = { devices: [], stateDir: dir, flags: ['--pstore-dir', pstore] }
    assert.equal(await runOn(setup, 'erase_pstore'), '2 records removed')
    assert.equal(await runOn(setup, 'erase_pstore'), '0 records removed')
  })

  test('boot entries of installed systems go, or those that are asked for', async () => {
    const firmware = fakeFirmware(dir)
    const path = process.env.PATH
    process.env.PATH = `${firmware.folder}:${path}`
    try {
      const setup = { devices: [], stateDir: dir }
      const run = (args = {}) => runOn(setup, 'clean_uefi_nvram', {}, args)
      const entries = [
        { label: 'debian', where: '\\EFI\\debian\\shimx64.efi' },
        { label: 'mine', where: '\\EFI\\mine\\loader.efi' },
      ]
      firmware.set(entries)
      assert.deepEqual(await run({ match_patterns: ['LOADER\\.efi'] }), ['0001 mine'])
      for (const bad of ['x', [], ['('], [5]]) await assert.rejects(run({ match_patterns: bad }), /nothing was removed/)
      assert.equal(firmware.entries().length, 1)
      assert.deepEqual(await run(), ['0000 debian'])
      assert.deepEqual(firmware.entries(), [])
    } finally {
      process.env.PATH = path
    }
  })
})

test('hints of the conductor, and their defaults', () => {
  assert.deepEqual(readHints({}), {
    iterations: 1,
    zeroize: true,
    secureAta: true,
    secureNvme: true,
    continueIfSecureFailed: false,
    concurrency: 1,
  })
  const old = readHints({
    agent_continue_if_ata_erase_failed: true,
    disk_erasure_concurrency: 4,
    agent_erase_devices_iterations: 'x',
  })
  assert.deepEqual([old.continueIfSecureFailed, old.concurrency, old.iterations], [true, 4, 1])
})
