/** Where the API listens: a TCP port, or a Unix socket with permissions. It knows nothing of what is served. */
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Config } from '#config/options.ts'
import { Conflict, InvalidInput, messageOf } from '#lib/fault.ts'

/** @throws InvalidInput, Conflict naming the address and the options that say it */
export async function listen(app: FastifyInstance, { api }: Pick<Config, 'api'>): Promise<void> {
  const { host_ip, port, unix_socket, unix_socket_mode } = api
  try {
    if (unix_socket === null) {
      await app.listen({ host: host_ip, port })
      return
    }
    await mkdir(dirname(unix_socket), { recursive: true })
    await removeStale(unix_socket)
    await app.listen({ path: unix_socket })
    if (unix_socket_mode !== null) await chmod(unix_socket, unix_socket_mode)
  } catch (error) {
    const where = unix_socket ?? (host_ip.includes(':') ? `[${host_ip}]:${port}` : `${host_ip}:${port}`)
    const options = unix_socket === null ? 'host_ip and port' : 'unix_socket'
    throw new InvalidInput(`Cannot listen for the API on ${where}: ${messageOf(error)}; set [api] ${options}`, {
      cause: error,
    })
  }
}

/** How long requests may take to end, and clients to read, once the service stops. */
const graceMs = 10_000

/** Takes no further requests, and ends when those in progress are done, or after a while. */
export async function close(app: FastifyInstance): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), graceMs)
  await app.close()
  clearTimeout(timer)
}

/** A process that was killed leaves its socket behind. @throws Conflict when somebody still listens there */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null)
  if (!found) return
  if (!found.isSocket()) throw new Conflict('a file that is no socket is there')
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.once('connect', () => resolve(true))
  socket.once('error', () => resolve(false))
  const alive = await promise
  socket.destroy()
  if (alive) throw new Conflict('another process listens there')
  await unlink(path)
}
