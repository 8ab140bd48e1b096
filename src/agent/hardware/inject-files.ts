/**
 * The step that puts files into a written image, or takes some out: into the partition that has the path's first folder,
 * or one that is named. A link of the image that leads out of its partition is not followed. Nothing of the image is run.
 *
 * Source: openstack/ironic-python-agent `inject_files.py` (keys of a file, how a partition is found).
 */
import { chmod, lstat, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { messageOf } from '#lib/fault.ts'
import { AgentFault } from '../errors.ts'
import { request, shown } from '../http.ts'
import { inside } from '../image/boot/image-tree.ts'
import { partitionsOf, rereadPartitions } from './device-use.ts'
import type { Step, StepRun } from './manager.ts'
import { withMount } from './mounts.ts'
import { probe } from './probe.ts'

const mode = Type.Integer({ minimum: 0, maximum: 0o7777 })
const owner = Type.Integer({ minimum: 0, maximum: 0xfffffffe })

const InjectedFile = Type.Object(
  {
    /** Whole path on the machine that is deployed. */
    path: Type.String({ pattern: '^/.*[^/]$' }),
    /** Number of a partition of the root disk, or a device. */
    partition: Type.Optional(Type.Union([Type.Integer({ minimum: 1 }), Type.String({ minLength: 1 })])),
    /** base64, or a URL with `{node[uuid]}` and the like in it. */
    content: Type.Optional(Type.String()),
    deleted: Type.Optional(Type.Boolean()),
    mode: Type.Optional(mode),
    /** Of a folder that has to be made for the file. */
    dirmode: Type.Optional(mode),
    owner: Type.Optional(owner),
    group: Type.Optional(owner),
  },
  { additionalProperties: false },
)
type InjectedFile = Static<typeof InjectedFile>

export function injectFilesStep(priority: number): Step {
  return {
    step: 'inject_files',
    interface: 'deploy',
    offered: { deploy: { priority }, service: { priority, abortable: true } },
    argsinfo: {
      files: {
        description:
          'Files to put into the image: objects with path, and partition, content (base64 or a URL), deleted, mode, ' +
          'dirmode, owner, group. Those of the node property inject_files come first.',
        required: false,
      },
      verify_ca: {
        description: 'Whether servers of URLs must have valid certificates. Default: true.',
        required: false,
      },
    },
    run: async ({ files, verify_ca: verifyCa = true }, context) => {
      const wanted = readFiles([context.node.properties.inject_files, files])
      const done: string[] = []
      for (const [index, file] of wanted.entries()) {
        context.progress({ phase: 'inject files', bytes: index, total_bytes: wanted.length, detail: file.path })
        await inject(file, { verifyCa: verifyCa !== false, context })
        done.push(file.path)
      }
      return done
    },
  }
}

/** @throws AgentFault InvalidCommandParamsError naming all that is wrong, before anything is changed */
function readFiles(lists: readonly unknown[]): InjectedFile[] {
  const wrong: string[] = []
  const files: InjectedFile[] = []
  for (const list of lists) {
    if (list == null) continue
    if (!Array.isArray(list)) {
      wrong.push(`found ${JSON.stringify(list)}, expected a list`)
      continue
    }
    for (const file of list as unknown[]) {
      const path =
        typeof file === 'object' && file !== null && 'path' in file ? String(file.path) : JSON.stringify(file)
      const [first] = Value.Errors(InjectedFile, file)
      const unknown = unknownKeys(file)
      if (unknown.length > 0) wrong.push(`${path}: unknown keys ${unknown.join(', ')}`)
      else if (!Value.Check(InjectedFile, file)) wrong.push(`${path}: ${first?.instancePath} ${first?.message}`)
      else if (file.path.split('/').includes('..')) wrong.push(`${path}: leads upwards`)
      else if (dirname(file.path) === '/' && file.partition === undefined) {
        wrong.push(`${path}: lies in the topmost folder, which takes a partition`)
      } else if ((file.content === undefined) !== (file.deleted === true)) {
        wrong.push(`${path}: needs either content or deleted`)
      } else files.push(file)
    }
  }
  if (wrong.length === 0) return files
  throw new AgentFault('InvalidCommandParamsError', `Cannot inject files: ${wrong.join('; ')}; nothing was changed`)
}

function unknownKeys(file: unknown): string[] {
  if (typeof file !== 'object' || file === null) return []
  return Object.keys(file).filter(key => !Object.hasOwn(InjectedFile.properties, key))
}

interface Injecting {
  verifyCa: boolean
  context: StepRun
}

async function inject(file: InjectedFile, injecting: Injecting): Promise<void> {
  const path = normalize(file.path).slice(1)
  try {
    const partition = await findPartition(file.partition, path.split('/')[0] ?? '', injecting.context)
    // Nothing of the image is run, and none of its device nodes means anything.
    await withMount(partition, ['rw', 'nodev', 'nosuid', 'noexec'], async root => {
      const target = await place(root, path, file)
      if (file.deleted === true) await rm(target, { force: true })
      else await write(target, file, injecting)
    })
  } catch (error) {
    throw new AgentFault('CommandExecutionError', `Injecting ${file.path}: ${messageOf(error)}`, { cause: error })
  }
}

async function findPartition(wanted: InjectedFile['partition'], folder: string, context: StepRun): Promise<string> {
  const { hardware, node } = context
  const disk = (await hardware.call('osInstallDevice', node)).name
  await rereadPartitions(disk)
  const partitions = await partitionsOf(disk)
  if (wanted !== undefined && /^\d+$/.test(String(wanted))) {
    for (const partition of partitions) {
      if ((await probe(partition)).partitionNumber === Number(wanted)) return partition
    }
    throw new Error(`${disk} has no partition ${wanted}; it has ${partitions.join(', ') || 'none'}`)
  }
  if (wanted !== undefined) {
    const disks = (await hardware.call('listBlockDevices')).map(({ name }) => name)
    const all = [...disks, ...(await Promise.all(disks.map(partitionsOf))).flat()]
    if (all.includes(String(wanted))) return String(wanted)
    throw new Error(`${wanted} is neither the number of a partition nor one of ${all.join(', ')}`)
  }
  for (const partition of partitions) {
    if (await hasFolder(partition, folder)) return partition
  }
  throw new Error(
    `no partition has a folder /${folder}; looked at ${partitions.join(', ') || `${disk}, which has none`}`,
  )
}

/** False also for what has no file system, or one that this kernel does not know. */
async function hasFolder(partition: string, folder: string): Promise<boolean> {
  const isFolder = async (root: string) => {
    const real = await inside(root, folder)
    return real !== null && (await stat(real)).isDirectory()
  }
  const { type } = await probe(partition)
  if (type === null || /^(swap|LVM2_member|linux_raid_member|crypto_LUKS)$/.test(type)) return false
  return await withMount(partition, [], isFolder).catch(() => false)
}

/** The path to write to, with the folders above it made as far as they are missing. */
async function place(root: string, path: string, { dirmode, deleted }: InjectedFile): Promise<string> {
  const folders = path.split('/').slice(0, -1)
  for (let depth = 1; depth <= folders.length; depth++) {
    const folder = folders.slice(0, depth).join('/')
    const there = await lstat(join(root, folder)).catch(() => null)
    if (there !== null) {
      if ((await inside(root, folder)) === null) throw new Error(`/${folder} is a link that leads out of its partition`)
      continue
    }
    if (deleted === true) break
    await mkdir(join(root, folder))
    if (dirmode !== undefined && depth === folders.length) await chmod(join(root, folder), dirmode)
  }
  return join(root, path)
}

/** The file appears whole, or not at all; it keeps mode and owner of the one before. A link in its place is replaced. */
async function write(target: string, file: InjectedFile, injecting: Injecting): Promise<void> {
  const before = await lstat(target).catch(() => null)
  const kept = before?.isFile() === true ? before : { mode: 0o644, uid: 0, gid: 0 }
  const next = `${target}.ferrite-new`
  try {
    const handle = await open(next, 'wx', 0o600)
    try {
      for await (const chunk of contentOf(file.content ?? '', injecting)) await handle.writeFile(chunk)
      await handle.chown(file.owner ?? kept.uid, file.group ?? kept.gid)
      await handle.chmod(file.mode ?? kept.mode & 0o7777) // after the owner, whose change takes set-user-id away
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(next, target)
  } catch (error) {
    await rm(next, { force: true })
    throw error
  }
}

async function* contentOf(content: string, { verifyCa, context }: Injecting): AsyncGenerator<Uint8Array> {
  if (!content.includes('://')) {
    if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(content)) throw new Error('its content is neither base64 nor a URL')
    yield Buffer.from(content, 'base64')
    return
  }
  const { agent, node, ports, signal } = context
  const url = filled(content, { node, ports })
  const { options } = agent
  const answer = await request(options, { url, timeoutMs: options.downloadTimeoutMs, insecure: !verifyCa, signal })
  if (answer.status !== 200) {
    answer.body.destroy()
    throw new Error(`${shown(url)} answered ${answer.status}, expected 200`)
  }
  yield* answer.body
}

/** Replaces such as `{node[uuid]}` and `{ports[0][address]}`. */
export function filled(template: string, values: Record<string, unknown>): string {
  return template.replace(/\{(\w+)((?:\[[^\]]+\])*)\}/g, (whole, name: string, path: string) => {
    const steps = [name, ...[...path.matchAll(/\[([^\]]+)\]/g)].map(([, step = '']) => step)]
    let value: unknown = values
    for (const step of steps) {
      const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, step)
      value = isThere ? (value as Record<string, unknown>)[step] : undefined // an object with this key
    }
    if (['string', 'number', 'boolean'].includes(typeof value)) return String(value)
    throw new Error(`its URL has ${whole}, which is ${JSON.stringify(value) ?? 'not there'}`)
  })
}
