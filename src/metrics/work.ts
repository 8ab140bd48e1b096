/**
 * Metrics of what this process does, counted from its start: flows and their steps, requests, BMCs, the database, images,
 * heartbeats. Several processes count what each of them did; their sum is what was done.
 */
import { flowsEnded, heartbeats, notificationsSent, stepsEnded } from '#conductor/measured.ts'
import { statementsDone } from '#db/measured.ts'
import { bmcAnswers } from '#drivers/measured.ts'
import { imagesAsked } from '#images/measured.ts'
import { Counter, type Family, Histogram } from '#lib/instruments.ts'
import { requestsAnswered } from '#server/measured.ts'
import { phasesSpent } from '#timeline/measured.ts'

/** Seconds: of work on machines, from a power change to the erasure of large disks. */
const longWork = [1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 43_200]
/** Seconds: of questions to BMCs, which take their time. */
const questions = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
/** Seconds: of requests to this service, and of what it asks the database. */
const short = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

/** @returns the metrics, and what ends the listening */
export function listenToWork(): { families: Family[]; stop(): void } {
  const flows = new Histogram({
    name: 'ferrite_flow_duration_seconds',
    help: 'How long pieces of work on nodes took, from the request to their end, by how they ended.',
    labels: ['flow', 'outcome'],
    bounds: longWork,
  })
  const failures = new Counter({
    name: 'ferrite_flow_failures_total',
    help: 'Pieces of work that failed, by the code of the cause.',
    labels: ['flow', 'code'],
  })
  const steps = new Histogram({
    name: 'ferrite_step_duration_seconds',
    help: 'How long steps of deployments, cleanings and services took that ended well.',
    labels: ['flow', 'step'],
    bounds: longWork,
  })
  const phases = new Histogram({
    name: 'ferrite_phase_duration_seconds',
    help: 'How long pieces of work that ended well were in each phase: booting, writing, waiting for the BMC and so on.',
    labels: ['flow', 'phase'],
    bounds: longWork,
  })
  const calls = new Counter({
    name: 'ferrite_heartbeats_total',
    help: 'Heartbeats of agents that were taken; news: something in them was not known yet.',
    labels: ['news'],
  })
  const bmcs = new Histogram({
    name: 'ferrite_bmc_request_duration_seconds',
    help: 'How long BMCs and power strips took to answer, each try by itself.',
    labels: ['protocol', 'outcome'],
    bounds: questions,
  })
  const statements = new Histogram({
    name: 'ferrite_database_statement_duration_seconds',
    help: 'How long statements to the database took, with their wait for others.',
    labels: ['engine', 'outcome'],
    bounds: short,
  })
  const images = new Counter({
    name: 'ferrite_image_requests_total',
    help: 'Images that deployments asked the store for: stored, or to be fetched first.',
    labels: ['from'],
  })
  const requests = new Histogram({
    name: 'ferrite_http_request_duration_seconds',
    help: 'How long requests to the API took until they were answered.',
    labels: ['method', 'status'],
    bounds: short,
  })
  const endpoints = new Counter({
    name: 'ferrite_http_requests_total',
    help: 'Requests to the API by endpoint, and by the class of their status.',
    labels: ['endpoint', 'status'],
  })

  const notifications = new Counter({
    name: 'ferrite_notifications_total',
    help: 'Notifications for the message bus: sent, refused (they are tried again), or given up after too long.',
    labels: ['outcome'],
  })

  const ends = [
    flowsEnded.listen(({ flow, state, code, durationMs }) => {
      flows.observe({ flow, outcome: state }, durationMs / 1000)
      if (state === 'failed') failures.add({ flow, code: code ?? '' })
    }),
    stepsEnded.listen(({ flow, step, durationMs }) => steps.observe({ flow, step }, durationMs / 1000)),
    phasesSpent.listen(({ flow, phase, durationMs }) => phases.observe({ flow, phase }, durationMs / 1000)),
    heartbeats.listen(({ news }) => calls.add({ news: String(news) })),
    bmcAnswers.listen(({ protocol, outcome, durationMs }) => bmcs.observe({ protocol, outcome }, durationMs / 1000)),
    statementsDone.listen(({ engine, failed, durationMs }) =>
      statements.observe({ engine, outcome: failed ? 'failed' : 'ok' }, durationMs / 1000),
    ),
    notificationsSent.listen(({ outcome, count }) => notifications.add({ outcome }, count)),
    imagesAsked.listen(({ from }) => images.add({ from })),
    requestsAnswered.listen(({ endpoint, method, status, durationMs }) => {
      const kind = `${Math.floor(status / 100)}xx`
      requests.observe({ method, status: kind }, durationMs / 1000)
      endpoints.add({ endpoint, status: kind })
    }),
  ]
  return {
    families: [flows, failures, steps, phases, calls, bmcs, statements, images, requests, endpoints, notifications],
    stop() {
      for (const end of ends) end()
    },
  }
}
