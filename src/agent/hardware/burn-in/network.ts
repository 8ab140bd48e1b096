/**
 * Burning in the network: two machines send to each other for hours, first one way, then the other. Who sends first, and
 * who the partner is, stands in driver_info.
 *
 * Source: openstack/ironic-python-agent `burnin.py` (settings, the shape of the jobs, when a reader tries again); fio(1).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import { AgentFault } from '../../errors.ts'
import type { StepRun } from '../manager.ts'
import { tried } from './machine.ts'
import { burnInSettings } from './settings.ts'

const port = 9000
const jobs = 16
const sixHours = 21_600

type Role = 'writer' | 'reader'

/** @returns how often the reader of this machine had to wait for its partner */
export async function burnInNetwork(context: StepRun): Promise<string> {
  const settings = burnInSettings(context.node, 'agent_burnin_fio_network_')
  const runtime = settings.count('runtime', sixHours)
  const outputFile = settings.path('outputfile')
  const { role, partner } = readPair(settings.raw('config'), settings.raw('pairing_backend_url'))
  let waits = 0
  for (const now of [role, role === 'writer' ? 'reader' : 'writer'] as const) {
    context.progress({ phase: 'burn in network', bytes: 0, total_bytes: null, detail: `${now} with ${partner}` })
    waits += await transfer({ role: now, partner, runtime, outputFile }, context)
  }
  return `sent to and read from ${partner} for ${runtime} s each; waited for it ${waits} times`
}

function readPair(config: unknown, backend: unknown): { role: Role; partner: string } {
  if (config === null && backend !== null) {
    throw new AgentFault(
      'CleaningError',
      'Cannot burn in the network: pairing by a coordination service (agent_burnin_fio_network_pairing_backend_url) is ' +
        'not built; agent_burnin_fio_network_config names role and partner of each node',
    )
  }
  const { role, partner } = typeof config === 'object' && config !== null ? (config as Record<string, unknown>) : {}
  const isHost = typeof partner === 'string' && /^[A-Za-z0-9][A-Za-z0-9.:_-]*$/.test(partner)
  if ((role === 'writer' || role === 'reader') && isHost) return { role, partner }
  throw new AgentFault(
    'CleaningError',
    `Cannot burn in the network: driver_info agent_burnin_fio_network_config is ${JSON.stringify(config)}, expected ` +
      '{"role": "writer" or "reader", "partner": host name or address}',
  )
}

interface Transfer {
  role: Role
  partner: string
  runtime: number
  outputFile: string | null
}

/** @returns how often it had to be tried again */
async function transfer({ role, partner, runtime, outputFile }: Transfer, { agent, signal }: StepRun): Promise<number> {
  const common = ['--ioengine=net', `--port=${port}`, '--fill_device=1', '--group_reporting', '--gtod_reduce=1']
  const part =
    role === 'writer'
      ? ['--name=writer', '--rw=write', `--runtime=${runtime}`, '--time_based=1', '--listen']
      : ['--name=reader', '--rw=read', `--hostname=${partner}`]
  const report = outputFile === null ? [] : ['--output-format=json', `--output=${outputFile}.${role}`]
  for (let again = 0; ; again++) {
    try {
      await tried('fio', [...common, `--numjobs=${jobs}`, ...part, ...report], { signal })
      return again
    } catch (error) {
      // A reader whose partner does not listen yet; it may be far behind, and the conductor's patience is the limit.
      if (role === 'writer' || !/ ended with status 16\b/.test(messageOf(error))) throw error
      agent.log.info(`The partner ${partner} does not listen yet; trying again`)
    }
    await sleep(agent.settings.networkRetryMs, undefined, { signal })
  }
}
