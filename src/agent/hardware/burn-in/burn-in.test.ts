import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { Failure, type FakePrograms, fakePrograms } from '../../fake-programs.ts'
import { makeLoopDisk, needsRoot } from '../../loop-disk.ts'
import { runStep } from '../test-run.ts'

const dir = mkdtempSync(join(tmpdir(), 'ferrite-burn-in-'))
process.once('exit', () => rmSync(dir, { recursive: true, force: true }))

const run = (step: string, driver_info: Record<string, unknown> = {}, devices: readonly string[] = []) =>
  runStep(
    { devices, stateDir: dir, flags: ['--temp-dir', dir, '--smart-poll-ms', '1', '--network-retry-ms', '1'] },
    step,
    { driver_info },
  )

describe('with programs that note what they are asked', () => {
  let fakes: FakePrograms
  beforeEach(async () => {
    fakes = await fakePrograms()
  })
  afterEach(() => fakes.remove())

  test('processors and memory: defaults, settings, what was measured, failure', async () => {
    fakes.add('stress-ng', () => 'stress-ng: metrc: cpu 123 bogo ops\n')
    assert.match(String(await run('burnin_cpu')), /123 bogo ops/)
    await run('burnin_cpu', {
      agent_burnin_cpu_cpu: 2,
      agent_burnin_cpu_timeout: '12h',
      agent_burnin_cpu_outputfile: '/var/log/cpu',
    })
    await run('burnin_memory')
    await run('burnin_memory', {
      agent_burnin_vm_vm: '4',
      'agent_burnin_vm_vm-bytes': '2G',
      agent_burnin_vm_timeout: 60,
      agent_burnin_vm_outputfile: '/var/log/vm',
    })
    assert.deepEqual(fakes.calls, [
      'stress-ng --cpu 0 --timeout 86400 --metrics-brief',
      'stress-ng --cpu 2 --timeout 12h --metrics-brief --log-file /var/log/cpu',
      'stress-ng --vm 0 --timeout 86400 --vm-bytes 98% --metrics-brief',
      'stress-ng --vm 4 --timeout 60 --vm-bytes 2G --metrics-brief --log-file /var/log/vm',
    ])
    fakes.add('stress-ng', () => {
      throw new Failure('stress-ng: fail: bit error detected', 2)
    })
    await assert.rejects(run('burnin_cpu'), { type: 'CommandExecutionError', message: /status 2: .*bit error/ })
  })

  test('what a setting cannot be fails the step and starts nothing', async () => {
    fakes.add('stress-ng', () => '')
    fakes.add('fio', () => '')
    for (const [step, info] of [
      ['burnin_cpu', { agent_burnin_cpu_timeout: '--version' }],
      ['burnin_cpu', { agent_burnin_cpu_cpu: -1 }],
      ['burnin_cpu', { agent_burnin_cpu_outputfile: 'here' }],
      ['burnin_memory', { 'agent_burnin_vm_vm-bytes': 'lots' }],
      ['burnin_disk', { agent_burnin_fio_disk_loops: 'many' }],
      ['burnin_disk', { agent_burnin_fio_disk_smart_test: 'perhaps' }],
      ['burnin_network', {}],
      ['burnin_network', { agent_burnin_fio_network_config: { role: 'listener', partner: 'a' } }],
      ['burnin_network', { agent_burnin_fio_network_config: { role: 'reader', partner: '-h' } }],
      ['burnin_network', { agent_burnin_fio_network_config: { role: 'reader' } }],
      ['burnin_network', { agent_burnin_fio_network_pairing_backend_url: 'etcd3+http://a' }],
      ['burnin_gpu', { agent_burnin_gpu_timeout: 'x' }],
    ] as const) {
      await assert.rejects(run(step, info), { type: 'CleaningError', message: /^Cannot burn in/ })
    }
    assert.deepEqual(fakes.calls, [])
  })

  test('network: one way, then the other; a reader waits for its partner, a writer does not', async () => {
    let refusals = 2
    fakes.add('fio', args => {
      if (args.includes('--name=reader') && refusals-- > 0) throw new Failure('fio: connect: Connection refused', 16)
      return ''
    })
    const config = (role: string) => ({ agent_burnin_fio_network_config: { role, partner: 'node-2' } })
    assert.match(String(await run('burnin_network', config('reader'))), /waited for it 2 times/)
    const common = '--ioengine=net --port=9000 --fill_device=1 --group_reporting --gtod_reduce=1 --numjobs=16'
    assert.deepEqual(fakes.calls.slice(2), [
      `fio ${common} --name=reader --rw=read --hostname=node-2`,
      `fio ${common} --name=writer --rw=write --runtime=21600 --time_based=1 --listen`,
    ])
    const more = { agent_burnin_fio_network_runtime: 60, agent_burnin_fio_network_outputfile: '/log/net' }
    await run('burnin_network', { ...config('writer'), ...more })
    assert.match(fakes.calls.at(-2) ?? '', /--runtime=60 .* --output-format=json --output=\/log\/net\.writer$/)
    assert.match(fakes.calls.at(-1) ?? '', /--rw=read .* --output=\/log\/net\.reader$/)
    for (const status of [1, 16]) {
      fakes.add('fio', args => {
        if (status === 1 || args.includes('--listen')) throw new Failure('no', status)
        return ''
      })
      await assert.rejects(run('burnin_network', config('writer')), { type: 'CommandExecutionError' })
    }
  })

  test('disks that test themselves: all are waited for, and those that fail are named', {
    skip: needsRoot,
  }, async () => {
    const disks = [makeLoopDisk(8), makeLoopDisk(8), makeLoopDisk(8)]
    const [good = '', bad = '', silent = ''] = disks.map(({ device }) => device)
    try {
      fakes.add('fio', () => '')
      let polls = 0
      let verdict = 'completed with a read failure'
      fakes.add('smartctl', ([option, disk = '']) => {
        if (option === '-t') return ''
        if (disk === silent) return '{}'
        const status = ++polls < 4 ? 'in progress, 90% remaining' : disk === bad ? verdict : 'completed without error'
        return JSON.stringify({ ata_smart_data: { self_test: { status: { string: status } } } })
      })
      const wanted = { agent_burnin_fio_disk_smart_test: true }
      await assert.rejects(run('burnin_disk', wanted, [good, bad, silent]), {
        type: 'CleaningError',
        message: `SMART self tests failed: ${bad}: completed with a read failure`,
      })
      assert.ok(polls >= 4)
      verdict = 'completed without error'
      assert.deepEqual(await run('burnin_disk', wanted, [good, bad, silent]), {
        [good]: 'SMART: completed without error',
        [bad]: 'SMART: completed without error',
        [silent]: 'written and verified; reports no SMART self test',
      })
      fakes.add('smartctl', () => {
        throw new Failure('no such command', 4)
      })
      await assert.rejects(run('burnin_disk', wanted, [good]), /Starting SMART self tests: \/dev\/loop/)
    } finally {
      for (const disk of disks) disk.remove()
    }
  })
})

test('graphics cards are counted, then worked', async () => {
  const install_dir = join(dir, 'gpu-burn')
  mkdirSync(install_dir)
  const log = join(dir, 'gpu-calls')
  const script = `#!/bin/sh\necho "$*" >> ${log}\n[ "$1" = -l ] && printf 'ID 0: A100\\nID 1: A100\\n' || echo 100.0% proc\n`
  writeFileSync(join(install_dir, 'gpu_burn'), script)
  chmodSync(join(install_dir, 'gpu_burn'), 0o755)
  const info = { agent_burnin_gpu_install_dir: install_dir, agent_burnin_gpu_timeout: 5 }
  await assert.rejects(run('burnin_gpu', { ...info, agent_burnin_gpu_count: 4 }), /found 2, expected 4/)
  assert.equal(await run('burnin_gpu', { ...info, agent_burnin_gpu_count: 2 }), '100.0% proc')
  assert.equal(readFileSync(log, 'utf8'), '-l\n-l\n-m 95% 5\n')
})

const hasFio = spawnSync('fio', ['--version']).status === 0 ? needsRoot : 'fio is not installed'

describe('disks with fio itself', { skip: hasFio }, () => {
  const quick = { agent_burnin_fio_disk_loops: 1, agent_burnin_fio_disk_outputfile: join(dir, 'fio.json') }

  test('a good disk is written all over and verified; a protected one is left alone', async () => {
    const [disk, kept] = [makeLoopDisk(8), makeLoopDisk(8)]
    try {
      execFileSync('mkfs.ext4', ['-qF', kept.device])
      const before = readFileSync(kept.device)
      const setup = { devices: [disk.device, kept.device], stateDir: dir, flags: ['--temp-dir', dir] }
      const properties = { skip_block_devices: [{ name: kept.device }] }
      assert.deepEqual(await runStep(setup, 'burnin_disk', { driver_info: quick, properties }), {
        [disk.device]: 'written and verified',
        [kept.device]: 'skipped: protected by skip_block_devices',
      })
      const report = JSON.parse(readFileSync(quick.agent_burnin_fio_disk_outputfile, 'utf8'))
      assert.equal(report.jobs[0].jobname, disk.device)
      assert.ok(report.jobs[0].write.io_bytes > 0)
      assert.ok(readFileSync(kept.device).equals(before))
    } finally {
      disk.remove()
      kept.remove()
    }
  })

  test('a disk that fails to write fails the step by name', async () => {
    const small = mkdtempSync(join(dir, 'small-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4M', 'none', small])
    execFileSync('truncate', ['--size=16M', join(small, 'disk')])
    const device = execFileSync('losetup', ['--find', '--show', join(small, 'disk')])
      .toString()
      .trim()
    try {
      await assert.rejects(run('burnin_disk', quick, [device]), {
        type: 'CommandExecutionError',
        message: new RegExp(`fio found errors on ${device} `),
      })
      assert.ok(existsSync(quick.agent_burnin_fio_disk_outputfile))
    } finally {
      execFileSync('losetup', ['--detach', device])
      execFileSync('umount', [small])
    }
  })
})
