/**
 * The route of the metrics, outside of the API: no version, no authentication, and only where it is switched on. What
 * is served is made in metrics/; it is sent as it is made, so that a large fleet's answer is never in memory as a whole.
 */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'

export const metricsPath = '/metrics'

/** The text format of Prometheus, in parts. */
export interface MetricsSource {
  text(): AsyncIterable<string>
}

/** Adds the route. */
export function addMetrics(app: FastifyInstance, metrics: MetricsSource): void {
  app.route({
    method: 'GET',
    url: metricsPath,
    config: { outside: true },
    async handler(_request, reply) {
      return reply.type('text/plain; version=0.0.4; charset=utf-8').send(Readable.from(metrics.text()))
    },
  })
}
