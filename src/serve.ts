/**
 * `ferrite serve`: API, conductor and the HTTP server for boot files and images in one process. The only place where the
 * real clock, the real log and the real configuration meet; it starts things in order and stops them in reverse.
 */
import { writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import type { Server } from 'node:https'
import { parseArgs } from 'node:util'
import { type Logger, type LoggerOptions, pino } from 'pino'
import { startBootServices } from '#boot/services.ts'
import { createConductor } from '#conductor/service.ts'
import { openConfig } from '#config/load.ts'
import type { Config } from '#config/options.ts'
import { openChannel } from '#db/channel.ts'
import { openDatabase } from '#db/database.ts'
import type { PoolOptions } from '#db/postgres.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { systemClock } from '#lib/clock.ts'
import { eventLoopLoad } from '#lib/event-loop.ts'
import { Fault, messageOf } from '#lib/fault.ts'
import { openMetrics } from '#metrics/metrics.ts'
import { createApp } from '#server/app.ts'
import { openAccess } from '#server/auth/open.ts'
import { close, listen } from '#server/http/listen.ts'
import { openTls } from '#server/http/tls.ts'

const usage = `Usage: ferrite serve [--config-file FILE]...

Runs the API, the conductor and the HTTP server for boot files and images in one process. Without a configuration it
keeps everything under ./var/ferrite and listens on port 6385. "ferrite config reference" prints every option.

  --config-file FILE   read options from FILE, in the format of ironic.conf; repeatable, later files win
  -h, --help           this text`

export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { 'config-file': { type: 'string', multiple: true }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  try {
    return await serve(values['config-file'] ?? [])
  } catch (error) {
    // A fault is for the operator to read; anything else is a bug and keeps its stack.
    console.error(error instanceof Fault ? `ferrite serve: ${error.message}` : error)
    return 1
  }
}

async function serve(files: string[]): Promise<number> {
  const began = performance.now()
  const { config, warnings, reload } = await openConfig({ files, env: process.env })
  const log = logger(config)
  for (const warning of warnings) log.warn({}, warning)
  const clock = systemClock
  await mkdir(config.DEFAULT.tempdir, { recursive: true })

  await using cleanUp = new AsyncDisposableStack()
  const db = await openDatabase(config.database.connection, { ...poolOptions(config), log: log.child({ part: 'db' }) })
  cleanUp.defer(() => db.destroy())
  const metrics = config.ferrite.metrics ? cleanUp.use(openMetrics({ db, config, clock })) : undefined
  const registry = await loadRegistry(config)
  const boot = await startBootServices({ config, db, clock, log: log.child({ part: 'boot' }) })
  cleanUp.defer(() => boot.stop())
  const { portsChanged } = boot
  const channel = await openChannel(config.database.connection, {
    process: config.DEFAULT.host,
    clock,
    log: log.child({ part: 'db' }),
  })
  cleanUp.defer(() => channel?.close())
  const lifeline = channel && (await openDatabase(config.database.connection, { maxConnections: 1 }))
  cleanUp.defer(() => lifeline?.destroy())
  const conductor = createConductor({
    db,
    channel,
    lifeline,
    config,
    registry,
    clock,
    log: log.child({ part: 'conductor' }),
    portsChanged,
    load: eventLoopLoad(),
  })

  const apiLog = log.child({ part: 'api' })
  const access = await openAccess(config, { clock, log: apiLog, configFiles: files })
  cleanUp.defer(() => access.auth.close?.())
  const tls = await openTls({ config, log: apiLog })
  const ui = config.ferrite.console ? config : undefined
  const app = createApp({
    db,
    conductor,
    config,
    log: apiLog,
    clock,
    channel,
    ...access,
    tls: tls?.options,
    ui,
    metrics,
  })
  cleanUp.defer(() => close(app))
  await listen(app, config)
  const certificate = tls && cleanUp.use(tls.follow(app.server as Server, clock)) // over TLS it is an HTTPS server

  // Not before the API has its port: a service that does not come up leaves no trace in the database.
  cleanUp.defer(() => conductor.stop())
  await conductor.start()

  const { host_ip, port, unix_socket } = config.api
  const address = unix_socket === null ? { host_ip, port } : { unix_socket }
  log.info(
    {
      ...address,
      tls: tls !== undefined,
      boot_files: config.deploy.http_url,
      ms: Math.round(performance.now() - began),
    },
    'ready',
  )
  const onHangup = () => {
    reload().then(
      ({ changed, needRestart }) => log.info({ changed, needRestart }, 'configuration read again'),
      error => log.error({}, messageOf(error)),
    )
    void certificate?.check()
  }
  process.on('SIGHUP', onHangup)
  const signal = await new Promise<string>(resolve => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => resolve(name))
  })
  process.off('SIGHUP', onHangup)
  log.info({ signal }, 'stopping; what runs goes on after the next start')
  return 0
}

/** [database], for PostgreSQL. */
function poolOptions({ database }: Config): Partial<PoolOptions> {
  return {
    minConnections: database.max_pool_size,
    maxConnections: database.max_pool_size + database.max_overflow,
    ...(database.pool_timeout === null ? {} : { acquireTimeoutMs: database.pool_timeout * 1000 }),
    recycleS: Math.max(0, database.connection_recycle_time),
    connectTries: Math.max(0, database.max_retries),
    connectIntervalMs: database.retry_interval * 1000,
    statementTries: database.db_max_retries,
    statementIntervalMs: database.db_retry_interval * 1000,
  }
}

/** One JSON object a line on standard output: time, level, part, message and what belongs to it. */
function logger(config: Config): Logger {
  const options: LoggerOptions = {
    level: config.DEFAULT.debug ? 'debug' : 'info',
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) },
    redact: { paths: ['*.password', '*.token', '*.agent_token', 'headers.authorization'], censor: '******' },
  }
  return pino(options, linesOfTurns())
}

/** Standard output, with one write for all lines of a turn of the event loop: under load there are hundreds. */
function linesOfTurns(): { write(line: string): void } {
  const output = pino.destination({ dest: 1, sync: false })
  let lines = ''
  const pass = () => {
    output.write(lines)
    lines = ''
  }
  process.once('exit', () => {
    if (lines !== '') writeSync(1, lines)
  })
  return {
    write(line) {
      if (lines === '') setImmediate(pass)
      lines += line
    },
  }
}
