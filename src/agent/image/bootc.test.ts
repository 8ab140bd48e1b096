/** Installing a container, by a podman of the test's own that writes down how it was called and puts partitions on the disk. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { AgentFault } from '../errors.ts'
import { selectHardware } from '../hardware/dispatch.ts'
import { genericManager } from '../hardware/generic.ts'
import { needsRoot } from '../loop-disk.ts'
import { type Container, containerName, installContainer } from './bootc.ts'
import { partitionUuids } from './image-record.ts'
import { type Bench, dir, MIB, setUp, startOf } from './test-setup.ts'

const bin = join(dir, 'podman-bin')
const calls = join(dir, 'podman-calls')
const path = process.env.PATH
mkdirSync(bin)
process.env.PATH = `${bin}:${path}`
after(() => {
  process.env.PATH = path
})
beforeEach(() => rmSync(calls, { force: true }))

/** @param onPull and @param onInstall are lines of shell; the device is the last argument, `$last` */
function podman({ onPull = 'true', onInstall = 'true' } = {}): void {
  const file = join(bin, 'podman')
  writeFileSync(
    file,
    `#!/bin/sh
echo "$@" >> ${calls}
for last; do :; done
case "$1" in
  pull) case "$2" in --authfile=*) cat "\${2#--authfile=}" >> ${calls}; echo >> ${calls};; esac
    ${onPull};;
  run) ${onInstall};;
esac
`,
  )
  chmodSync(file, 0o755)
}

const partitions = `printf 'label: dos\\nlabel-id: 0x1badb002\\nstart=2048, size=8192\\n' | sfdisk --quiet "$last"`
const called = () => readFileSync(calls, 'utf8').trim().split('\n')

async function install(bench: Bench, more: Partial<Container> = {}, programs?: string): Promise<string> {
  const container = {
    imageSource: 'oci://registry.example:5000/os/server:9',
    pullSecret: null,
    configDrive: null,
    authorizedKeys: null,
    tpm2Luks: false,
    ...more,
  }
  const { context: agent } = bench
  const hardware = await selectHardware(agent, [genericManager(agent)])
  const node = { uuid: 'u', properties: { root_device: { name: bench.disk.device } }, instance_info: {} }
  const { signal } = new AbortController()
  if (programs !== undefined) process.env.PATH = programs
  return installContainer(container, { agent, hardware, node, progress: () => {}, signal })
}

/** Files of a run that are left. */
const leftovers = () => readdirSync(dir).filter(name => name.startsWith('bootc-'))

test('podman fetches, bootc installs, and no secret is left for the container to read', {
  skip: needsRoot,
}, async () => {
  podman({ onInstall: `test -z "$(find ${dir}/bootc-* -name auth.json)" && ${partitions}` })
  const bench = await setUp(Buffer.alloc(0), { sizeMib: 1000 })
  try {
    const pullSecret = Buffer.from('bmFtZTpwYXNzd29yZA==').toString('base64')
    const text = await install(bench, { pullSecret, authorizedKeys: 'ssh-ed25519 AAAA', tpm2Luks: true })
    const { device } = bench.disk
    assert.equal(text, `Container image (oci://registry.example:5000/os/server:9) written to device ${device}`)
    const [version, pull, auth, run] = called()
    assert.equal(version, '--version')
    assert.match(pull ?? '', /^pull --authfile=\S+\/auth\.json registry\.example:5000\/os\/server:9$/)
    assert.deepEqual(JSON.parse(auth ?? ''), { auths: { 'registry.example:5000': { auth: 'bmFtZTpwYXNzd29yZA==' } } })
    assert.match(
      run ?? '',
      /^run --rm --privileged --pid=host --pull=never -v \S+ -v \/dev:\/dev -v \S+ .*registry\.example:5000\/os\/server:9 bootc install to-disk --wipe --skip-fetch-check --root-size=232M --block-setup=tpm2-luks --root-ssh-authorized-keys=\S+\/authorized_keys/,
    )
    assert.ok(run?.endsWith(` ${device}`))
    assert.equal(partitionUuids(bench.context.store)['root uuid'], '0x1badb002')
    assert.deepEqual(leftovers(), [])
  } finally {
    await bench.remove()
  }
})

const bad: [what: string, script: Parameters<typeof podman>[0], type: string, message: RegExp][] = [
  ['a registry that refuses', { onPull: 'echo denied >&2; exit 125' }, 'ImageDownloadError', /os\/server:9.*: denied/s],
  [
    'a container without bootc',
    { onInstall: 'echo "Error: crun: executable file \\`bootc\\` not found in PATH" >&2; exit 127' },
    'ImageDownloadError',
    /there is no bootc in it; expected a bootable container/,
  ],
  [
    'bootc that fails half-way',
    { onInstall: `${partitions}; exit 1` },
    'ImageWriteError',
    /Installing .* to \/dev\/loop/,
  ],
  ['an installation without partitions', {}, 'DeploymentError', /partition/],
]
for (const [what, script, type, message] of bad) {
  test(`${what}: an error, and a disk that does not boot`, { skip: needsRoot }, async () => {
    podman(script)
    const bench = await setUp(Buffer.alloc(0), { sizeMib: 1000 })
    try {
      await assert.rejects(install(bench), (error: unknown) => {
        assert.ok(error instanceof AgentFault, String(error))
        assert.equal(error.type, type)
        assert.match(error.message, message)
        return true
      })
      assert.ok(startOf(bench.disk.device, MIB).every(byte => byte === 0))
      assert.deepEqual(leftovers(), [])
    } finally {
      await bench.remove()
    }
  })
}

test('a ramdisk without podman says so before it touches the disk', { skip: needsRoot }, async () => {
  rmSync(join(bin, 'podman'), { force: true })
  const bench = await setUp(Buffer.alloc(0), { sizeMib: 1000 })
  try {
    const rejected = /this ramdisk cannot run containers .*; expected one with podman in it/
    await assert.rejects(install(bench, {}, bin), rejected)
    assert.ok(!existsSync(calls))
  } finally {
    process.env.PATH = `${bin}:${path}`
    await bench.remove()
  }
})

test('what is no container reference never becomes an argument', () => {
  assert.equal(containerName('oci://host/a/b@sha256:'.concat('a'.repeat(64))), `host/a/b@sha256:${'a'.repeat(64)}`)
  for (const source of [
    '',
    'host/a',
    'oci://--authfile=x/y',
    'oci://host',
    'oci://host/a b',
    'oci://host/a;b',
    'https://h/a',
  ]) {
    assert.throws(() => containerName(source), /expected oci:\/\/HOST\/PATH/, source)
  }
})
