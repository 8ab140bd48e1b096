/**
 * How long one look at the power of a whole fleet takes, and what it costs: the conductor's watch with its database and
 * its pace, the ipmi driver over its one socket, and as many simulated BMCs as wished, in a process of their own, each a
 * port of 127.0.0.1 that takes its time for every answer. The first sweep opens all sessions, the second comes
 * right afterwards and finds those open that were not idle for too long. Ends with status 1 when a sweep takes longer than a minute or a BMC was not read.
 *
 *   node bench/ipmi-sweep.ts [--bmcs 5000] [--delay-ms 200] [--workers 192] [--suite 3]
 */
import { parseArgs } from 'node:util'
import { startFakeBmc } from '#lab/ipmi/fake-bmc.ts'
import { serveBmcs, sweepTwice } from './power-sweep.ts'

const { values } = parseArgs({
  options: {
    bmcs: { type: 'string', default: '5000' },
    'delay-ms': { type: 'string', default: '200' },
    workers: { type: 'string', default: '192' },
    suite: { type: 'string' },
  },
})
const bmcs = Number(values.bmcs)
const user = { name: 'admin', password: 'of all simulated ones', privilege: 'ADMINISTRATOR' } as const
const account = { ...user, password: user.password.slice(0, 20) }

if (process.send) await beBmcs()
else process.exitCode = (await sweep()) ? 0 : 1

/** The other process: opens the ports, tells them, and serves until it is told to end. */
async function beBmcs(): Promise<void> {
  const fleet = await Promise.all(
    Array.from({ length: bmcs }, async (_, index) => {
      const one = await startFakeBmc({ users: [account] }, { delayMs: Number(values['delay-ms']) })
      if (index % 2 === 0) one.hardware.reset('On')
      return one
    }),
  )
  await serveBmcs(fleet.map(one => one.port.port))
}

function sweep(): Promise<boolean> {
  const workers = Number(values.workers)
  console.log(`${bmcs} BMCs, ${values['delay-ms']} ms for each answer, ${workers} asked at a time`)
  const { name: ipmi_username, password: ipmi_password } = account
  const suite = values.suite === undefined ? {} : { ipmi_cipher_suite: values.suite }
  return sweepTwice({
    file: import.meta.filename,
    bmcs,
    workers,
    second: { name: 'right afterwards', afterMs: 0 },
    node(ipmi_port) {
      const driver_info = { ipmi_address: '127.0.0.1', ipmi_port, ipmi_username, ipmi_password, ...suite }
      return { driver: 'ipmi', driver_info }
    },
  })
}
