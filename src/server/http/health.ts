/**
 * Two questions for those who start and balance services, outside of the API, open to everybody: `/healthz`, does this
 * process answer; `/readyz`, can it serve: the database answers and has all migrations, and its conductor is registered
 * and alive. What is said names no host and no setting. The operator's own switch is another matter (healthcheck.ts).
 */
import type { FastifyInstance } from 'fastify'
import { listConductors } from '#db/conductors.ts'
import { migrationsMissing } from '#db/readiness.ts'
import type { World } from '../endpoint.ts'

export const alivePath = '/healthz'
export const readyPath = '/readyz'

/** A database that takes longer is not one that requests could be served from. */
const patienceMs = 3000
/** Whoever asks often, or many at a time, is answered from the last look. */
const freshForMs = 500

type Asked = Pick<World, 'db' | 'conductor' | 'clock' | 'log'> & { config: Pick<World['config'], 'conductor'> }

interface Check {
  name: 'database' | 'migrations' | 'conductor'
  ok: boolean
  /** Why not. */
  reason?: string
}

export function addHealth(app: FastifyInstance, world: Asked): void {
  app.route({
    method: ['GET', 'HEAD'],
    url: alivePath,
    config: { outside: true },
    handler: (_request, reply) => reply.type('application/json').send('{"status":"alive"}'),
  })
  let looking: Promise<Check[]> | undefined
  let lookedAtMs = 0
  app.route({
    method: ['GET', 'HEAD'],
    url: readyPath,
    config: { outside: true },
    async handler(_request, reply) {
      if (!looking || performance.now() - lookedAtMs > freshForMs) {
        lookedAtMs = performance.now()
        looking = look(world)
      }
      const checks = await looking
      const isReady = checks.every(({ ok }) => ok)
      const told = { status: isReady ? 'ready' : 'not ready', checks }
      return reply
        .code(isReady ? 200 : 503)
        .type('application/json')
        .send(JSON.stringify(told))
    },
  })
}

async function look({ db, conductor, clock, config, log }: Asked): Promise<Check[]> {
  const limit = AbortSignal.timeout(patienceMs)
  const late = new Promise<never>((_, reject) => {
    limit.addEventListener('abort', () => reject(new Error(`no answer within ${patienceMs / 1000} s`)))
  })
  try {
    const [missing, conductors] = await Promise.race([Promise.all([migrationsMissing(db), listConductors(db)]), late])
    const own = conductors.find(({ hostname }) => hostname === conductor.hostname)
    const oldestMs = clock.now() - config.conductor.heartbeat_timeout * 1000
    return [
      { name: 'database', ok: true },
      missing.length === 0
        ? { name: 'migrations', ok: true }
        : { name: 'migrations', ok: false, reason: `not applied: ${missing.join(', ')}` },
      own?.online && own.updatedAtMs >= oldestMs
        ? { name: 'conductor', ok: true }
        : { name: 'conductor', ok: false, reason: own?.online ? 'it is silent' : 'it is not registered' },
    ]
  } catch (error) {
    log.warn({ err: error }, 'not ready: the database could not be asked')
    const reason = limit.aborted ? `no answer within ${patienceMs / 1000} s` : 'it cannot be reached'
    return [{ name: 'database', ok: false, reason }]
  }
}
