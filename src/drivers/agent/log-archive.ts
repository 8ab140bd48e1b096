/**
 * Where archives of ramdisks' logs are kept: a directory of this host, or a container of Swift that forgets them by
 * itself. It neither reads nor deletes one.
 *
 * Source: [agent] deploy_logs_* (ironic/drivers/utils.py, get_ramdisk_logs_file_name and store_ramdisk_logs, restated).
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openstackService } from '#images/openstack.ts'
import { Fault } from '#lib/fault.ts'
import type { NodeContext } from '../driver.ts'
import type { LogsOf } from './collect-logs.ts'

/** The object store refused an archive. */
export class ArchiveRefused extends Fault {
  readonly status = 502
  readonly code = 'archive-refused'
}

/** @returns the path of the file, or `swift:CONTAINER/OBJECT` */
export async function keepArchive(
  ctx: NodeContext,
  { of, archive }: { of: LogsOf; archive: Uint8Array },
): Promise<string> {
  const { agent } = ctx.config
  const name = archiveName(ctx, of)
  return agent.deploy_logs_storage_backend === 'swift'
    ? intoSwift(ctx, name, archive)
    : intoDirectory(agent.deploy_logs_local_path, name, archive)
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
    // It may hold what the ramdisk knew of the machine's secrets.
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
