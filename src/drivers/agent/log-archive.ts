/**
 * Where archives of ramdisks' logs are kept, without the secrets in them: a directory of this host, where old ones make
 * room for new ones, or a container of Swift that forgets them by itself.
 *
 * Source: [agent] deploy_logs_* (ironic/drivers/utils.py, get_ramdisk_logs_file_name and store_ramdisk_logs, restated).
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openstackService } from '#images/openstack.ts'
import { Fault } from '#lib/fault.ts'
import { secretsIn } from '#lib/mask.ts'
import type { NodeContext } from '../driver.ts'
import type { LogsOf } from './collect-logs.ts'
import { maskArchive } from './masked-archive.ts'
import { pruneArchives } from './prune-archives.ts'

/** The object store refused an archive. */
export class ArchiveRefused extends Fault {
  readonly status = 502
  readonly code = 'archive-refused'
}

const dayMs = 86_400_000
const megabyte = 1_000_000

/**
 * @param options.archive as the ramdisk sent it
 * @returns the path of the file, or `swift:CONTAINER/OBJECT`
 */
export async function keepArchive(
  ctx: NodeContext,
  { of, archive }: { of: LogsOf; archive: Uint8Array },
): Promise<string> {
  const { agent, ferrite } = ctx.config
  const name = archiveName(ctx, of)
  const masked = await maskArchive(archive, secretsOf(ctx))
  if (agent.deploy_logs_storage_backend === 'swift') return await intoSwift(ctx, name, masked)
  const kept = await intoDirectory(agent.deploy_logs_local_path, name, masked)
  const { log_archive_days: days, log_archive_megabytes: megabytes } = ferrite
  await pruneArchives(agent.deploy_logs_local_path, {
    beforeMs: days === 0 ? null : ctx.clock.now() - days * dayMs,
    sizeBytes: megabytes === 0 ? null : megabytes * megabyte,
  })
  return kept
}

/** All that this node has: its BMC's, its instance's, the agent's token. */
function secretsOf({ node, agent }: NodeContext): string[] {
  const { driver_info, instance_info, driver_internal_info } = node
  const own = [driver_info, instance_info, driver_internal_info].flatMap(secretsIn)
  return agent?.token ? [...own, agent.token] : own
}

/** Node, its name, its instance, what the logs are of, and the time: what an operator looks for, in this order. */
function archiveName({ node, clock }: NodeContext, of: LogsOf): string {
  const time = new Date(clock.now()).toISOString().slice(0, 19).replaceAll(/[T:]/g, '-')
  const parts = [node.uuid, node.name, node.instance_uuid, of === 'deployment' ? null : of, time]
  return `${parts.filter(part => typeof part === 'string' && part !== '').join('_')}.tar.gz`
}

async function intoDirectory(directory: string, name: string, archive: Uint8Array): Promise<string> {
  const path = join(directory, name)
  await mkdir(directory, { recursive: true })
  try {
    // What looks like no secret may be one all the same.
    await writeFile(`${path}.partial`, archive, { mode: 0o600 })
    await rename(`${path}.partial`, path)
  } catch (error) {
    await rm(`${path}.partial`, { force: true })
    throw error
  }
  return path
}

async function intoSwift(ctx: NodeContext, name: string, archive: Uint8Array): Promise<string> {
  const { deploy_logs_swift_container: container, deploy_logs_swift_days_to_expire: days } = ctx.config.agent
  const swift = openstackService(ctx, 'swift')
  const at = `${await swift.endpoint()}/${encodeURIComponent(container)}`
  const put = async (url: string, body?: Uint8Array, headers: Record<string, string> = {}) => {
    const { status } = await swift.ask('PUT', url, ctx.signal, { headers, ...(body === undefined ? {} : { body }) })
    if (status >= 200 && status < 300) return
    throw new ArchiveRefused(
      `Cannot keep logs in Swift: PUT ${new URL(url).pathname} was answered with ${status}; expected 2xx`,
    )
  }
  // One that there is already stays as it is.
  await put(at)
  const expiry: Record<string, string> = days === 0 ? {} : { 'x-delete-after': String(days * 86_400) }
  const form = { 'content-type': 'application/gzip', ...expiry }
  await put(`${at}/${encodeURIComponent(name)}`, archive, form)
  return `swift:${container}/${name}`
}
