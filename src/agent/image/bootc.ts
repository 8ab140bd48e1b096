/**
 * Puts a bootable container on the root disk: podman fetches it, and the bootc inside of it installs it to the whole
 * disk. Nothing of the container runs while its registry's secret lies in a file, and every failure leaves a disk that
 * does not boot.
 *
 * Source: openstack/ironic-python-agent `extensions/standby.py` (order, what podman and bootc are told, error names);
 * podman-run(1), bootc-install-to-disk(8).
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../errors.ts'
import { deviceSize } from '../hardware/device-use.ts'
import { writeConfigDrive } from './config-drive.ts'
import { keepPartitionUuids, markWriting, unbootable, unmarkWriting } from './image-record.ts'
import { moveBackupToEnd, readPartitionTable, requirePartitions } from './partition-table.ts'
import type { ImageRun } from './prepare-image.ts'

export interface Container {
  /** `oci://HOST/PATH`, with a tag or a digest if need be. */
  imageSource: string
  /** As a container tool's configuration has it under `auth`, in base64 once more; null for a public one. A secret. */
  pullSecret: string | null
  configDrive: string | null
  /** Who may log in as root. */
  authorizedKeys: string | null
  /** Encrypt the root file system with a key of the machine's TPM. */
  tpm2Luks: boolean
}

const MIB = 1024 * 1024
/** Kept free of the root file system: the EFI system partition and a config drive. */
const keptMib = 768
const podmanPlaces = { config: '/etc/containers/containers.conf.d', store: '/var/lib/containers' }

/** @returns the sentence conductors expect */
export async function installContainer(container: Container, context: ImageRun): Promise<string> {
  const { agent, hardware, node } = context
  const name = containerName(container.imageSource)
  await requirePodman(name)
  keepPartitionUuids(agent.store, {})
  const { name: device } = await hardware.call('osInstallDevice', node)
  const rootMib = Math.floor((await deviceSize(device)) / MIB) - keptMib
  if (rootMib <= 0) {
    throw new AgentFault('ImageWriteError', `Cannot install ${name}: ${device} has no more than ${keptMib} MiB`)
  }
  const directory = await mkdtemp(join(agent.settings.tempDir, 'bootc-'))
  try {
    if (agent.settings.ownsMachine) await allowRunningInMemory()
    await pull(name, container, { ...context, directory })
    await install({ container, name, device, rootMib, directory }, context)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
  const { diskIdentifier } = await readPartitionTable(device)
  keepPartitionUuids(agent.store, { 'root uuid': diskIdentifier })
  return `Container image (${container.imageSource}) written to device ${device}`
}

interface Install {
  container: Container
  /** What podman calls it. */
  name: string
  device: string
  rootMib: number
  /** For files that bootc reads. */
  directory: string
}

async function install(what: Install, context: ImageRun): Promise<void> {
  const { agent, signal, progress } = context
  const { container, name, device } = what
  const args = await installArgs(what)
  progress({ phase: 'install', bytes: 0, total_bytes: null })
  markWriting(agent.store, device, null)
  try {
    const { stdout, stderr } = await run('podman', args, { signal }).catch(error => {
      throw installFault(name, device, error)
    })
    agent.log.info(`bootc has installed ${name}: ${(stdout + stderr).trim().split('\n').at(-1) ?? ''}`)
    await requirePartitions(device)
    await moveBackupToEnd(device)
    if (container.configDrive !== null) await writeConfigDrive(device, container.configDrive, context)
  } catch (error) {
    await unbootable(device).catch(again => agent.log.error(`Cannot clean up ${device}: ${messageOf(again)}`))
    throw error
  } finally {
    unmarkWriting(agent.store)
  }
}

/** Letters that a registry's names have; nothing that a program could take for an option. */
const reference = /^oci:\/\/([a-z0-9][\w.-]*(?::\d+)?\/[a-z0-9][\w./-]*(?::[\w][\w.-]*)?(?:@sha256:[0-9a-f]{64})?)$/i

/** What podman calls it. @throws AgentFault InvalidImage */
export function containerName(imageSource: string): string {
  const [, name] = reference.exec(imageSource) ?? []
  if (name !== undefined) return name
  throw new AgentFault(
    'InvalidImage',
    `Cannot install ${JSON.stringify(imageSource)}: expected oci://HOST/PATH with a tag or a digest if need be`,
  )
}

async function requirePodman(name: string): Promise<void> {
  try {
    await run('podman', ['--version'])
  } catch (error) {
    throw new AgentFault(
      'CommandExecutionError',
      `Cannot install ${name}: this ramdisk cannot run containers (${messageOf(error)}); expected one with podman in it`,
    )
  }
}

/** A file system in memory cannot be pivoted away from. */
async function allowRunningInMemory(): Promise<void> {
  await mkdir(podmanPlaces.config, { recursive: true })
  await writeFile(join(podmanPlaces.config, '01-ferrite.conf'), '[engine]\nno_pivot_root = true\n')
}

type InDirectory = ImageRun & { directory: string }

async function pull(name: string, { pullSecret }: Container, context: InDirectory): Promise<void> {
  const { agent, signal, progress, directory } = context
  const authFile = join(directory, 'auth.json')
  try {
    if (pullSecret !== null) {
      const auth = Buffer.from(pullSecret, 'base64').toString()
      const auths = { [name.slice(0, name.indexOf('/'))]: { auth } }
      await writeFile(authFile, JSON.stringify({ auths }), { mode: 0o600 })
    }
    progress({ phase: 'pull', bytes: 0, total_bytes: null })
    const args = ['pull', ...(pullSecret === null ? [] : [`--authfile=${authFile}`]), name]
    for (let left = agent.options.downloadRetries; ; left--) {
      try {
        return void (await run('podman', args, { signal }))
      } catch (error) {
        if (left <= 0 || signal.aborted) {
          throw new AgentFault('ImageDownloadError', `Fetching the container ${name}: ${messageOf(error)}`)
        }
        agent.log.warn(`Fetching the container ${name} again: ${messageOf(error)}`)
        await sleep(agent.options.downloadRetryPauseMs, undefined, { signal })
      }
    }
  } finally {
    // From now on code of the container's runs, and sees this host.
    await rm(authFile, { force: true })
  }
}

async function keyFile({ authorizedKeys }: Container, directory: string): Promise<string | null> {
  if (authorizedKeys === null) return null
  const path = join(directory, 'authorized_keys')
  await writeFile(path, authorizedKeys, { mode: 0o600 })
  return path
}

async function installArgs({ container, name, device, rootMib, directory }: Install): Promise<string[]> {
  const keys = await keyFile(container, directory)
  const enforce = await run('getenforce', []).catch(() => ({ stdout: '' }))
  const hasSelinux = /^(Enforcing|Permissive)/.test(enforce.stdout)
  const mount = (path: string) => ['-v', `${path}:${path}`]
  return [
    ...['run', '--rm', '--privileged', '--pid=host', '--pull=never'],
    ...mount(podmanPlaces.store),
    ...mount('/dev'),
    ...(keys === null ? [] : mount(directory)),
    ...(hasSelinux ? ['--security-opt', 'label=type:unconfined_t'] : []),
    name,
    ...['bootc', 'install', 'to-disk', '--wipe', '--skip-fetch-check', `--root-size=${rootMib}M`],
    ...(container.tpm2Luks ? ['--block-setup=tpm2-luks'] : []),
    ...(keys === null ? [] : [`--root-ssh-authorized-keys=${keys}`]),
    ...(hasSelinux ? [] : ['--disable-selinux']),
    device,
  ]
}

function installFault(name: string, device: string, error: unknown): AgentFault {
  const said = messageOf(error)
  if (/executable file `?bootc`? not found/.test(said)) {
    const text = `Cannot install ${name}: there is no bootc in it; expected a bootable container`
    return new AgentFault('ImageDownloadError', text)
  }
  return new AgentFault('ImageWriteError', `Installing ${name} to ${device}: ${said}`)
}
