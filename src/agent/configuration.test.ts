import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { bootOptions } from './configuration.ts'
import { type LoopDisk, makeLoopDisk, needsRoot } from './loop-disk.ts'
import { defaultOptions } from './options.ts'
import { readSettings } from './settings.ts'

let dir: string
let disks: LoopDisk[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ferrite-configuration-'))
})
afterEach(() => {
  for (const disk of disks) disk.remove()
  disks = []
  rmSync(dir, { recursive: true })
})

function put(path: string, text: string): void {
  mkdirSync(dirname(join(dir, path)), { recursive: true })
  writeFileSync(join(dir, path), text)
}

async function boot(cmdline: string) {
  put('cmdline', cmdline)
  const devices = disks.map(({ device }) => device).join(',') || '/dev/null'
  const where = ['--cmdline-file', join(dir, 'cmdline'), '--etc-dir', join(dir, 'etc')]
  return await bootOptions(
    readSettings(['--guest', '--only-devices', devices, '--virtual-media-attempts', '1', ...where], {}),
  )
}

/** A small medium with a file system of this label. */
function medium(label: string, files: Record<string, string>): LoopDisk {
  const disk = makeLoopDisk(4)
  disks.push(disk)
  // Not what a BMC presents, but what every kernel that runs tests can mount.
  execFileSync('mkfs.ext4', ['-qF', '-L', label, disk.device])
  const mount = join(dir, 'mount')
  mkdirSync(mount, { recursive: true })
  execFileSync('mount', [disk.device, mount])
  for (const [path, text] of Object.entries(files)) put(join('mount', path), text)
  execFileSync('umount', [mount])
  return disk
}

const folder = 'etc/ironic-python-agent.d'

test('files win over the command line, later files over earlier ones; sections and names are those of Ironic', async () => {
  put('etc/ironic-python-agent/ironic-python-agent.conf', '[DEFAULT]\napi_url = http://first\nlookup_timeout = 5\n')
  put(`${folder}/10-more.conf`, '[DEFAULT]\napi_url = https://second/\nip_lookup_sleep = 2\nenable-auto-tls = false\n')
  put(`${folder}/20-last.conf`, '[mdns]\nuse_mdns = yes\n[ssl]\ncert_file = /c\n[disk_utils]\ndd_block_size = 1M\n')
  put(`${folder}/notes.txt`, 'not read')
  const options = await boot(
    'ipa-api-url=http://kernel ipa-lookup-timeout=9 ipa-lookup-interval=3 ipa-ip-lookup-timeout=7',
  )
  assert.deepEqual(options, {
    ...defaultOptions(),
    apiUrls: ['https://second'],
    lookupTimeoutMs: 5_000,
    lookupIntervalMs: 3_000,
    ipLookupPauseMs: 2_000,
    autoTls: false,
    useMdns: true,
    tlsCertFile: '/c',
  })
})

test('what cannot be read is named with its file, its line or its option', async () => {
  put(`${folder}/a.conf`, '[DEFAULT]\nlookup_timeout = soon\n')
  await assert.rejects(boot(''), /Cannot read the option \[DEFAULT\] lookup_timeout: found "soon", expected a number/)
  put(`${folder}/a.conf`, 'lookup_timeout = 5\n')
  await assert.rejects(boot(''), /a\.conf: line 1 has lookup_timeout before the first section/)
})

test('without files and media nothing changes', async () => {
  assert.deepEqual(await boot('quiet'), defaultOptions())
})

describe('virtual media', { skip: needsRoot }, () => {
  test('parameters win over the command line, configuration files are copied and read', async () => {
    medium('IR-VFD-DEV', { 'parameters.txt': 'ipa-api-url=https://media\nipa-agent-token=of-the-media\n' })
    medium('VMEDIA_BOOT_ISO', {
      'etc/ironic-python-agent.d/ironic-tls.conf': '[DEFAULT]\ncafile = /etc/ironic-python-agent/ironic.crt\n',
      'etc/ironic-python-agent/ironic.crt': 'a certificate',
      'etc/passwd': 'not ours',
      'openstack/latest/network_data.json': '{}',
    })
    const options = await boot('boot_method=vmedia ipa-api-url=http://kernel ipa-debug=1')
    assert.deepEqual(
      [options.apiUrls, options.agentToken, options.debug, options.caFile],
      [['https://media'], 'of-the-media', true, '/etc/ironic-python-agent/ironic.crt'],
    )
    assert.equal(readFileSync(join(dir, 'etc/ironic-python-agent/ironic.crt'), 'utf8'), 'a certificate')
    assert.ok(!existsSync(join(dir, 'etc/passwd')))
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(`${disks[0]?.device} `))
  })

  test('they are not looked at unless the command line says so, and a partition of a disk is none', async () => {
    medium('ir-vfd-dev', { 'parameters.txt': 'ipa-debug=1' })
    assert.equal((await boot('quiet')).debug, false)
    disks.pop()?.remove()
    const disk = makeLoopDisk(8)
    disks.push(disk)
    execFileSync('sfdisk', ['--quiet', disk.device], { input: 'label: dos\n-\n' })
    execFileSync('partx', ['--update', disk.device])
    execFileSync('mkfs.ext4', ['-qF', '-L', 'ir-vfd-dev', `${disk.device}p1`])
    assert.deepEqual(await boot('boot_method=vmedia'), defaultOptions())
  })

  test('a medium that cannot be mounted is an error that names it', async () => {
    const disk = makeLoopDisk(4)
    disks.push(disk)
    execFileSync('mkswap', ['--label', 'config-2', disk.device], { stdio: 'ignore' })
    await assert.rejects(boot('boot_method=vmedia'), {
      type: 'VirtualMediaBootError',
      message: new RegExp(`Cannot read the virtual medium ${disk.device} \\(config-2\\): mount`),
    })
  })
})
