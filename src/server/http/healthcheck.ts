/**
 * The health check: whether this server answers, for load balancers. It stands outside of the API: no version, no
 * authentication, plain text unless JSON is asked for. Where the operator's file exists it says no, so that a server
 * is taken out of rotation before it is stopped. It looks at nothing else: a database that fails is told by the API.
 *
 * Source: oslo.middleware, "Healthcheck middleware plugins".
 */
import { access } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import type { Config } from '#config/options.ts'

interface Finding {
  readonly healthy: boolean
  readonly reason: string
}

/** Adds the route where it is switched on. */
export function addHealthcheck(app: FastifyInstance, options: Config['healthcheck']): void {
  if (!options.enabled) return
  app.route({
    method: ['GET', 'HEAD'],
    url: options.path,
    config: { outside: true },
    async handler(request, reply) {
      const { healthy, reason } = await look(options.disable_by_file_path)
      if (request.method === 'HEAD') return reply.code(healthy ? 204 : 503).send()
      reply.code(healthy ? 200 : 503)
      if (!/json/i.test(request.headers.accept ?? '')) return reply.type('text/plain; charset=UTF-8').send(reason)
      const { detailed } = options
      const reasons = detailed
        ? [{ class: 'disable_by_file', details: options.disable_by_file_path, reason }]
        : [reason]
      return reply.type('application/json').send(JSON.stringify({ detailed, reasons }))
    },
  })
}

/** @param unwanted path of the file that says no; null: nothing does */
async function look(unwanted: string | null): Promise<Finding> {
  if (unwanted === null) return { healthy: true, reason: 'OK' }
  const found = await access(unwanted).then(
    () => true,
    () => false,
  )
  return found ? { healthy: false, reason: 'DISABLED BY FILE' } : { healthy: true, reason: 'OK' }
}
