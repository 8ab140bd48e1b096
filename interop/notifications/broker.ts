/**
 * RabbitMQ as Debian has it, unpacked and run in a folder of its own, on free ports of the loopback: its package would set
 * up a service of the whole host and start it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { HostPackagesMissing } from '#lab/host-packages.ts'
import { freePorts } from '#lab/service-process.ts'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'

const startLimitMs = 120_000

export interface Broker {
  readonly port: number
  start(): Promise<void>
  stop(): Promise<void>
}

/** @param directory is made, and holds everything that it writes */
export async function broker(directory: string): Promise<Broker> {
  await mkdir(directory, { recursive: true })
  const programs = await unpacked(directory)
  const [port = 0, distribution = 0, epmd = 0] = await freePorts(3)
  await writeFile(join(directory, 'plugins'), '[].\n')
  await writeFile(join(directory, '.erlang.cookie'), 'ferrite')
  await chmod(join(directory, '.erlang.cookie'), 0o600)
  await writeFile(join(directory, 'rabbitmq.conf'), `listeners.tcp.1 = 127.0.0.1:${port}\n`)
  const env = {
    HOME: directory,
    RABBITMQ_NODENAME: 'ferrite@localhost',
    RABBITMQ_DIST_PORT: String(distribution),
    ERL_EPMD_PORT: String(epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_MNESIA_BASE: join(directory, 'mnesia'),
    RABBITMQ_LOG_BASE: join(directory, 'log'),
    RABBITMQ_PID_FILE: join(directory, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, 'plugins'),
    RABBITMQ_CONFIG_FILE: join(directory, 'rabbitmq'),
    RABBITMQ_CONF_ENV_FILE: join(directory, 'none'),
  }
  const control = (...args: string[]) => run(join(programs, 'rabbitmqctl'), args, { env })
  let child: ChildProcess | undefined
  return {
    port,
    async start() {
      child = spawn(join(programs, 'rabbitmq-server'), [], { env: { ...process.env, ...env }, stdio: 'ignore' })
      const limit = performance.now() + startLimitMs
      // Until it is known as a node, asking whether it has started is a failure.
      for (;;) {
        const failure = await control('await_startup').then(
          () => undefined,
          (error: unknown) => error,
        )
        if (failure === undefined) return
        if (child.exitCode !== null || performance.now() > limit) throw failure
        await sleep(500)
      }
    },
    async stop() {
      const running = child
      child = undefined
      if (!running || running.exitCode !== null) return
      const gone = once(running, 'exit')
      await control('shutdown').catch(() => running.kill('SIGKILL'))
      await gone
      await run('epmd', ['-port', String(epmd), '-kill']).catch(() => {})
    },
  }
}

/** @returns the folder of its programs @throws HostPackagesMissing where the package cannot be had */
async function unpacked(directory: string): Promise<string> {
  const folder = join(directory, 'package')
  await mkdir(folder)
  await run('apt-get', ['--quiet', 'download', 'rabbitmq-server'], { cwd: folder }).catch(error => {
    throw new HostPackagesMissing(`Cannot download the package rabbitmq-server: ${messageOf(error)}`, { cause: error })
  })
  const [archive = ''] = await readdir(folder)
  await run('dpkg', ['--extract', join(folder, archive), folder])
  return join(folder, 'usr/lib/rabbitmq/bin')
}
