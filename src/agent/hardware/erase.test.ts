import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import type { AgentContext } from '../context.ts'
import { type LoopDisk, makeLoopDisk, needsRoot } from '../loop-disk.ts'
import { defaultOptions, readSettings } from '../options.ts'
import { Store } from '../store.ts'
import { selectHardware } from './dispatch.ts'
import { ataSecurity, readHints } from './erase-devices.ts'
import { genericManager } from './generic.ts'

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

  async function runStep(
    step: string,
    hints: Record<string, unknown> = {},
    cmdline = defaultOptions(),
  ): Promise<unknown> {
    const agent: AgentContext = {
      options: { ...cmdline, diskWaitAttempts: 1 },
      settings: readSettings(['--only-devices', disks.map(({ device }) => device).join(','), '--guest'], {}),
      store: new Store(dir),
      log: { info() {}, warn() {}, error() {}, debug() {} },
      node: null,
    }
    const hardware = await selectHardware(agent, [genericManager(agent)])
    const node = { uuid: 'u', properties: {}, instance_info: {}, driver_internal_info: hints }
    return await hardware.runStep(
      step,
      {},
      { agent, node, ports: [], progress() {}, signal: new AbortController().signal },
    )
  }

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
    await runStep('erase_devices_metadata', {}, { ...defaultOptions(), guardSpecialFilesystems: false })
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
