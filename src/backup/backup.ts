/**
 * A backup of a service, made while it runs: the database as it is at one instant, the files of its state that cannot be
 * made anew (certificates and their keys), and its configuration, in one tar archive that only its owner may read: BMC
 * passwords are in it. Images and boot files are not: they are fetched and written again.
 */
import { createHash } from 'node:crypto'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { backup as copyWhileInUse, DatabaseSync } from 'node:sqlite'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Config } from '#config/options.ts'
import { readConnection } from '#db/connection.ts'
import { Conflict, InvalidInput, messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { dump, load } from './postgresql.ts'

/** What stands in `manifest.json` of an archive. */
export type Manifest = Static<typeof Manifest>
const Manifest = Type.Object({
  format: Type.Literal(1),
  /** Of the program that made it. */
  version: Type.String(),
  made_at: Type.String(),
  engine: Type.Union([Type.Literal('sqlite'), Type.Literal('postgresql')]),
  /** SHA-256 of every file, by its path in the archive. */
  files: Type.Record(Type.String(), Type.String()),
})
const isManifest = Compile(Manifest)

type Place = Pick<Config, 'DEFAULT' | 'database' | 'agent'>

/** 40 MiB of SQLite's usual pages. */
const pagesPerStep = 10_000

const databaseFile = { sqlite: 'database.sqlite', postgresql: 'database.dump' } as const

/**
 * Writes an archive; it appears whole or not at all.
 * @param file must not be there yet
 * @param configFiles as the service reads them
 */
export async function backup(
  config: Place,
  { file, configFiles, now, version }: { file: string; configFiles: readonly string[]; now: Date; version: string },
): Promise<Manifest> {
  const target = resolve(file)
  if (await exists(target)) throw new Conflict(`Cannot write the backup ${target}: it is there already`)
  const { connection: url } = config.database
  const { engine } = readConnection(url)
  const folder = await mkdtemp(join(dirname(target), '.ferrite-backup-'))
  try {
    await chmod(folder, 0o700)
    await copyDatabase(url, join(folder, databaseFile[engine]))
    for (const name of await keptState(config)) {
      await cp(join(config.DEFAULT.state_path, name), join(folder, 'state', name), { recursive: true })
    }
    await mkdir(join(folder, 'config'), { recursive: true })
    for (const one of configFiles) await cp(resolve(one), join(folder, 'config', basename(one)))
    const files = await checksums(folder)
    const manifest: Manifest = { format: 1, version, made_at: now.toISOString(), engine, files }
    await writeFile(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
    const unfinished = `${folder}.tar`
    await writeFile(unfinished, '', { mode: 0o600 })
    await run('tar', ['--create', '--file', unfinished, '--directory', folder, '.'])
    await rename(unfinished, target)
    return manifest
  } finally {
    await Promise.all([rm(folder, { recursive: true, force: true }), rm(`${folder}.tar`, { force: true })])
  }
}

/** The database as it is now, whoever writes to it meanwhile. */
async function copyDatabase(url: string, target: string): Promise<void> {
  const connection = readConnection(url)
  if (connection.engine === 'postgresql') return dump(url, target)
  if (!(await exists(connection.path))) {
    throw new InvalidInput(
      `Cannot back the database up: there is no file ${connection.path}; expected that of the service`,
    )
  }
  const database = new DatabaseSync(connection.path, { readOnly: true })
  try {
    // Steps of a copy begin anew when somebody has written between them, for ever beside a busy service: all of them see
    // what this transaction sees. In WAL mode nobody waits for it.
    database.exec('BEGIN; SELECT count(*) FROM sqlite_schema')
    await copyWhileInUse(database, target, { rate: pagesPerStep })
  } finally {
    database.close()
  }
}

/** Names in the state folder that nobody can make anew: the rest are caches, boot files and logs. */
async function keptState({ DEFAULT: { state_path: state } }: Place): Promise<string[]> {
  const names = await readdir(state).catch(() => [])
  return names.filter(name => kept.includes(name))
}
const kept: readonly string[] = ['certificates']

async function checksums(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files: Record<string, string> = {}
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files[path.slice(folder.length + 1)] = createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
  }
  return files
}

/**
 * Puts the database and the state of an archive in their places, which must be empty unless `force`: what is there then
 * is kept beside, as `….before-restore`. The service must not run. Configuration is not touched: it is in the archive.
 * @throws InvalidInput when the archive is none, or is damaged
 */
export async function restore(config: Place, { file, force }: { file: string; force: boolean }): Promise<Manifest> {
  const connection = readConnection(config.database.connection)
  const { state_path: state } = config.DEFAULT
  await mkdir(state, { recursive: true })
  const folder = await mkdtemp(join(state, '.ferrite-restore-'))
  try {
    await chmod(folder, 0o700)
    await run('tar', ['--extract', '--file', resolve(file), '--directory', folder, '--no-same-owner'])
    const manifest = await checked(folder, file)
    if (manifest.engine !== connection.engine) {
      throw new InvalidInput(
        `Cannot restore ${file}: its database is of ${manifest.engine}, the configuration names ${connection.engine}`,
      )
    }
    const names = await readdir(join(folder, 'state')).catch(() => [])
    // All that may be in the way is looked for before anything is changed.
    for (const name of names) await checkFree(join(state, name), force)
    await restoreDatabase(config.database.connection, join(folder, databaseFile[connection.engine]), force)
    for (const name of names) await replace(join(folder, 'state', name), join(state, name), force)
    return manifest
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function checked(folder: string, file: string): Promise<Manifest> {
  const text = await readFile(join(folder, 'manifest.json'), 'utf8').catch(() => '')
  const manifest: unknown = parsed(text)
  if (!isManifest.Check(manifest))
    throw new InvalidInput(`Cannot restore ${file}: it is no backup of Ferrite of format 1`)
  const { 'manifest.json': _, ...found } = await checksums(folder)
  for (const path of new Set([...Object.keys(found), ...Object.keys(manifest.files)])) {
    if (found[path] === manifest.files[path]) continue
    throw new InvalidInput(`Cannot restore ${file}: ${path} in it is not as it was written`)
  }
  return manifest
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function restoreDatabase(url: string, copy: string, force: boolean): Promise<void> {
  const connection = readConnection(url)
  if (connection.engine === 'postgresql') return load(url, copy, { force })
  await mkdir(dirname(connection.path), { recursive: true })
  await replace(copy, connection.path, force)
  // They belong to the database that was there.
  for (const beside of ['-wal', '-shm']) await rm(`${connection.path}${beside}`, { force: true })
}

async function checkFree(to: string, force: boolean): Promise<void> {
  if (force || !(await exists(to))) return
  throw new Conflict(`Cannot restore to ${to}: it is there already; expected nothing, or --force`)
}

async function replace(from: string, to: string, force: boolean): Promise<void> {
  await checkFree(to, force)
  if (await exists(to)) {
    await rm(`${to}.before-restore`, { recursive: true, force: true })
    if ((await stat(to)).isFile()) foldLog(to)
    await rename(to, `${to}.before-restore`)
  }
  await cp(from, to, { recursive: true })
}

/** What SQLite has in its log comes into the file that is put aside. @throws Conflict while somebody uses it */
function foldLog(path: string): void {
  try {
    const database = new DatabaseSync(path)
    try {
      database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT; PRAGMA wal_checkpoint(TRUNCATE)')
    } finally {
      database.close()
    }
  } catch (error) {
    throw new Conflict(`Cannot replace ${path}: ${messageOf(error)}; expected that the service is stopped`, {
      cause: error,
    })
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
