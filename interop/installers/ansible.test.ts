/**
 * Ferrite's playbooks with the real Ansible: its modules on loop devices, its callback plug-in, its faults in the words
 * that an operator reads. The way over SSH into a machine is the scenario `ansible` of `npm run interop:deploy`.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { makeDiskImage, makeLoopDisk, needsRoot } from '#agent/loop-disk.ts'
import { eventually } from '#conductor/test-engine.ts'
import { type PlaybookEvent, runPlaybook } from '#drivers/ansible/playbook.ts'
import { asVariablesFile } from '#drivers/ansible/variables.ts'
import { testContext } from '#drivers/test-context.ts'
import { configDrive } from '#images/config-drive.ts'
import { startFakeImageServer } from '#images/fake-image-server.ts'
import { forAnsible } from '#lab/host-packages.ts'
import { whyMissing } from '../clients/packages.ts'

const playbooks = fileURLToPath(new URL('../../src/drivers/ansible/playbooks', import.meta.url))
const callbacks = fileURLToPath(new URL('../../src/drivers/ansible/callback', import.meta.url))
const skip = needsRoot || (await whyMissing([...forAnsible, 'qemu-utils', 'gdisk', 'fdisk']))

let runs = 1000
/** Who writes to the disks of a machine; of this run of the tests. */
const lock = join(tmpdir(), `ferrite-ansible-${process.pid}.lock`)
after(() => rm(lock, { force: true }))

/** Runs a playbook as the driver does, on this host; answers what its tasks told. */
async function ran(playbook: string, variables: object, more: readonly string[] = []): Promise<PlaybookEvent[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-ansible-'))
  try {
    const file = join(folder, 'variables.yaml')
    runs += 1
    await writeFile(file, asVariablesFile({ run: runs, ...variables }))
    const events: PlaybookEvent[] = []
    const env = {
      ANSIBLE_CONFIG: join(playbooks, 'ansible.cfg'),
      ANSIBLE_LIBRARY: join(playbooks, 'library'),
      ANSIBLE_MODULE_UTILS: join(playbooks, 'module_utils'),
      ANSIBLE_CALLBACK_PLUGINS: callbacks,
      ANSIBLE_CALLBACKS_ENABLED: 'ferrite_events',
      ANSIBLE_HOME: join(folder, 'home'),
      LC_ALL: 'C.UTF-8',
      FERRITE_ANSIBLE_LOCK: lock,
    }
    const args = [playbook, '-i', join(playbooks, 'inventory'), '-e', `@${file}`, ...more]
    const job = { program: 'ansible-playbook', args, env, owner: `interop-${process.pid}-${runs}`, playbook }
    const listener = { onEvent: (event: PlaybookEvent) => void events.push(event), onLine: () => {} }
    await runPlaybook(job, new AbortController().signal, listener)
    return events
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const onDisk = (what: string, variables: object) =>
  ran(join(import.meta.dirname, 'disk.yaml'), variables, ['--tags', what])

function head(device: string, sizeBytes: number): Buffer {
  const [file, content] = [openSync(device, 'r'), Buffer.alloc(sizeBytes)]
  readSync(file, content, 0, sizeBytes, 0)
  closeSync(file)
  return content
}

/** Asked of the partitions themselves: a host for tests may have no udev. */
function labelsOn(device: string): string[] {
  const names = readdirSync('/dev').filter(name => name.startsWith(`${basename(device)}p`))
  const labels = names.map(name => {
    const { stdout } = spawnSync('blkid', ['-p', '-o', 'value', '-s', 'LABEL', `/dev/${name}`], { encoding: 'utf8' })
    return stdout.trim()
  })
  return labels.filter(label => label !== '')
}

describe('the playbooks of Ferrite with the real Ansible', { skip }, () => {
  test('write, resume, convert, refuse and erase on a disk', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ferrite-images-'))
    const raw = join(folder, 'disk.raw')
    const qcow2 = join(folder, 'disk.qcow2')
    makeDiskImage(raw)
    execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, qcow2])
    const backed = join(folder, 'backed.qcow2')
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', '/etc/hostname', '-F', 'raw', backed])
    const content = readFileSync(raw)
    const files = { 'disk.raw': content, 'disk.qcow2': readFileSync(qcow2), 'backed.qcow2': readFileSync(backed) }
    const sum = (name: keyof typeof files) => `sha256:${createHash('sha256').update(files[name]).digest('hex')}`
    await using images = await startFakeImageServer(files)
    const disk = makeLoopDisk(128)
    const { device } = disk
    const image = (path: string, name: keyof typeof files, disk_format = 'raw') => {
      return { device, url: `${images.url}/${path}/${name}`, checksum: sum(name), disk_format }
    }
    const fails = (variables: object, expected: RegExp) => assert.rejects(onDisk('write', variables), expected)
    try {
      await onDisk('write', image('breaks', 'disk.raw'))
      // The table's copy is at the end of the larger disk now, of which its first block tells.
      assert.ok(
        head(device, content.length)
          .subarray(1024 * 1024)
          .equals(content.subarray(1024 * 1024)),
      )
      const requests = images.requests.filter(line => line.includes('GET /breaks/disk.raw'))
      assert.ok(requests.length > 1, 'the connection broke')
      execFileSync('sgdisk', ['--verify', device])

      await using ctx = await testContext({})
      const drive = await configDrive({ meta_data: { hostname: 'x' } }, ctx)
      await onDisk('drive', { device, configdrive: drive })
      assert.deepEqual(labelsOn(device), ['config-2'])

      await onDisk('write', image('plain', 'disk.qcow2', 'qcow2'))
      assert.ok(
        head(device, content.length)
          .subarray(1024 * 1024)
          .equals(content.subarray(1024 * 1024)),
      )

      await fails(
        { ...image('plain', 'disk.raw'), checksum: `sha256:${'0'.repeat(64)}` },
        /its sha256 is .* expected 0000/,
      )
      assert.ok(head(device, 1024 * 1024).equals(Buffer.alloc(1024 * 1024)), 'what is not whole does not boot')
      await fails(image('plain', 'disk.qcow2'), /qcow2 by its content and raw by image_disk_format/)
      await fails(image('plain', 'backed.qcow2', 'qcow2'), /it has a backing file/)
      await fails({ ...image('plain', 'disk.raw'), url: `${images.url}/plain/none` }, /the server answers 404/)
      await fails({ ...image('plain', 'disk.raw'), device: '/dev/loop-none' }, /loop-none/)

      await onDisk('write', image('plain', 'disk.raw'))
      await onDisk('erase', { device, what: 'metadata' })
      assert.equal(spawnSync('blkid', ['-p', device], { encoding: 'utf8' }).stdout, '')
      await onDisk('erase', { device, what: 'everything' })
      assert.ok(head(device, content.length).equals(Buffer.alloc(content.length)))
    } finally {
      disk.remove()
      await rm(folder, { recursive: true })
    }
  })

  test('a later run ends what an earlier one left, and an earlier one that comes late is refused', async () => {
    const disk = makeLoopDisk(16)
    const code = `import sys; sys.path.insert(0, ${JSON.stringify(join(playbooks, 'module_utils'))})
from ferrite_disks import Turn
import time
turn = Turn(${runs + 1}); print("writing", flush=True); time.sleep(600)`
    runs += 1
    const env = { ...process.env, FERRITE_ANSIBLE_LOCK: lock }
    const stale = spawn('python3', ['-c', code], { stdio: ['ignore', 'pipe', 'inherit'], env })
    try {
      let said = ''
      stale.stdout.on('data', chunk => {
        said += chunk
      })
      await eventually('the first one writes', async () => said.includes('writing'))
      await assert.rejects(
        onDisk('erase', { device: disk.device, what: 'metadata', run: runs - 1 }),
        /process \d+ of run \d+ writes/,
      )
      await onDisk('erase', { device: disk.device, what: 'metadata' })
      await eventually('the first one is gone', async () => stale.signalCode === 'SIGKILL')
      await assert.rejects(
        onDisk('erase', { device: disk.device, what: 'metadata', run: runs - 2 }),
        /came after this one/,
      )
    } finally {
      stale.kill('SIGKILL')
      disk.remove()
    }
  })

  test('texts that look like templates stay texts, and a machine that cannot be reached is told so', async () => {
    const marker = join(tmpdir(), `ferrite-pwned-${process.pid}`)
    const ironic = {
      run: 1,
      connect_timeout: 10,
      nodes: [{ name: `{{ lookup("pipe", "touch ${marker}") }}`, ip: '127.0.0.1', user: 'nobody', extra: {} }],
      image: { url: `{{ lookup("pipe", "touch ${marker}") }}` },
    }
    // Nobody listens at this port of the loopback.
    const more = ['-e', 'ansible_port=1', '-e', '{"ansible_ssh_timeout": 2}']
    const playbook = join(playbooks, 'shutdown.yaml')
    await assert.rejects(
      ran(playbook, { ironic }, more),
      /cannot reach the ramdisk of \{\{ lookup.*Connection refused.*ferrite ramdisk build --with ansible/s,
    )
    assert.throws(() => readFileSync(marker), { code: 'ENOENT' })
  })

  test('a playbook that is no YAML is told by its line', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ferrite-plays-'))
    try {
      const file = join(folder, 'bad.yaml')
      await writeFile(file, '- hosts: conductor\n  tasks: [')
      await assert.rejects(ran(file, {}), /bad\.yaml ended with status \d before it came to a task: .*bad\.yaml/s)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
