/** What is wrong with the BMC, or with what is known of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultName } from '#lab/faults.ts'
import type { Bench, Enrolment } from '../bench.ts'
import type { BenchFault } from '../fault-case.ts'
import { inject } from '../inject.ts'
import type { NetMachine } from '../machine.ts'

/** Found out when the node is to be managed. */
function unmanageable(
  fault: Pick<BenchFault, 'name' | 'broken' | 'cause' | 'names'>,
  broken: { enrolment?: Enrolment; machine?: (machine: NetMachine) => Promise<void> | void },
): BenchFault {
  const { enrolment, machine: breaks } = broken
  return {
    ...fault,
    on: 'bench',
    async explained(bench) {
      const machine = await bench.plug(enrolment)
      await breaks?.(machine)
      await bench.enrol(machine, enrolment)
      return bench.failure(machine, 'manage')
    },
  }
}

const lab = (kind: FaultName, value?: string) => (machine: NetMachine) => inject(machine, kind, value)

/** Found out when the machine is to be switched on. */
async function powerFailure(bench: Bench, kind: FaultName, value?: string) {
  const machine = await bench.plug()
  await bench.enrol(machine)
  await bench.reach(machine, 'manage', 'manageable')
  await inject(machine, kind, value)
  return bench.failure(machine, 'inspect')
}

/** Asks for power, which is to fail, and why it did. */
async function powerByHand(bench: Bench, machine: NetMachine) {
  await bench.api.put(`/v1/nodes/${machine.name}/states/power`, { target: 'power on' })
  await bench.until('it has failed', async () => (await bench.node(machine)).last_error !== null)
  await bench.until('nobody works on it', async () => (await bench.node(machine)).reservation === null)
  return bench.why(machine)
}

/** What is known of a BMC that worked does not fit any more. */
function changedAtRest(
  fault: Pick<BenchFault, 'name' | 'broken' | 'cause' | 'names'>,
  [setting, value]: readonly [string, string],
): BenchFault {
  return {
    ...fault,
    on: 'bench',
    async explained(bench) {
      const machine = await bench.available()
      await bench.set(machine, `/driver_info/${setting}`, value)
      await bench.until('the loss is noticed', async () => (await bench.node(machine)).fault === 'power failure')
      return bench.why(machine)
    },
  }
}

export default [
  unmanageable(
    {
      name: 'bmc-down',
      broken: 'nothing listens at the BMC',
      cause: 'bmc-unreachable',
      names: /connection was refused/,
    },
    { machine: machine => machine.unplugBmc() },
  ),
  unmanageable(
    {
      name: 'bmc-hangs',
      broken: 'the BMC takes requests and never answers',
      cause: 'bmc-unreachable',
      names: /did not answer in time/,
    },
    { machine: lab('bmc-hang') },
  ),
  unmanageable(
    {
      name: 'bmc-slow',
      broken: 'the BMC needs 30 s for an answer',
      cause: 'bmc-unreachable',
      names: /did not answer in time/,
    },
    { machine: lab('bmc-delay', '30000') },
  ),
  unmanageable(
    {
      name: 'bmc-drops',
      broken: 'the BMC breaks connections off',
      cause: 'bmc-unreachable',
      names: /closed the connection in the middle/,
    },
    { machine: lab('bmc-drop') },
  ),
  unmanageable(
    { name: 'bmc-overloaded', broken: 'the BMC answers 503, again and again', cause: 'bmc-busy', names: /HTTP 503/ },
    { machine: lab('bmc-503', '1000') },
  ),
  unmanageable(
    { name: 'ipmi-sessions', broken: 'the BMC has no session left (IPMI)', cause: 'bmc-no-session', names: /session/i },
    { enrolment: { driver: 'ipmi', sessions: 0 } },
  ),
  unmanageable(
    {
      name: 'bmc-password',
      broken: 'a wrong password',
      cause: 'bmc-access-denied',
      names: /redfish_username and redfish_password|user name and password/,
    },
    { enrolment: { driverInfo: { redfish_password: 'not-this-one' } } },
  ),
  unmanageable(
    {
      name: 'bmc-certificate',
      broken: "the BMC's certificate is of an unknown authority",
      cause: 'bmc-not-trusted',
      names: /redfish_verify_ca/,
    },
    { enrolment: { driverInfo: { redfish_verify_ca: 'true' } } },
  ),
  unmanageable(
    {
      name: 'bmc-plain-http',
      broken: 'the address of the BMC says HTTPS, and HTTP is spoken there',
      cause: 'bmc-wrong-scheme',
      names: /http:\/\//,
    },
    { enrolment: { driverInfo: { redfish_address: 'https://10.77.0.1:8090' } } },
  ),
  unmanageable(
    {
      name: 'bmc-wrong-system',
      broken: 'the BMC has no such system',
      cause: 'bmc-wrong-address',
      names: /redfish_system_id/,
    },
    { enrolment: { driverInfo: { redfish_system_id: '/redfish/v1/Systems/none' } } },
  ),
  unmanageable(
    {
      name: 'bmc-not-redfish',
      broken: 'another service at the address of the BMC',
      cause: 'bmc-not-redfish',
      names: /redfish_address|address/,
    },
    { enrolment: { driverInfo: { redfish_address: 'http://10.77.0.1:8090' } } },
  ),
  unmanageable(
    {
      name: 'ipmi-silent',
      broken: 'no datagram reaches the BMC (IPMI)',
      cause: 'bmc-unreachable',
      names: /127\.0\.0\.1/,
    },
    {
      enrolment: { driver: 'ipmi' },
      machine: machine => {
        machine.loses = true
      },
    },
  ),
  unmanageable(
    { name: 'ipmi-password', broken: 'a wrong password (IPMI)', cause: 'bmc-access-denied', names: /password/ },
    { enrolment: { driver: 'ipmi', driverInfo: { ipmi_password: 'not-this-one' } } },
  ),
  {
    name: 'power-never-comes',
    broken: 'the BMC accepts power-on, and nothing happens',
    on: 'bench',
    cause: 'power-state-timeout',
    names: /still reports "power off"/,
    explained: bench => powerFailure(bench, 'bmc-ignore-power'),
  },
  {
    name: 'bmc-lies',
    broken: 'the BMC says "off" of a machine that runs',
    on: 'bench',
    cause: 'power-state-timeout',
    names: /still reports "power off"/,
    explained: bench => powerFailure(bench, 'bmc-lie', 'Off'),
  },
  {
    name: 'bmc-dies',
    broken: 'the BMC takes the request for power, and is gone then',
    on: 'bench',
    cause: 'bmc-unreachable',
    names: /could not be asked/,
    async explained(bench) {
      const machine = await bench.available()
      // It never tells that the power came, and has answered the request when it goes.
      await inject(machine, 'bmc-lie', 'Off')
      machine.atPowerOn = async () => {
        await sleep(500)
        await machine.unplugBmc()
      }
      return powerByHand(bench, machine)
    },
  },
  {
    name: 'power-by-hand',
    broken: 'somebody asks for power, and the BMC does nothing',
    on: 'bench',
    cause: 'power-state-timeout',
    names: /still reports "power off"/,
    async explained(bench) {
      const machine = await bench.available()
      await inject(machine, 'bmc-ignore-power')
      return powerByHand(bench, machine)
    },
  },
  {
    name: 'bmc-lost',
    broken: 'the BMC of a node at rest goes away',
    on: 'bench',
    cause: 'bmc-unreachable',
    names: /connection was refused/,
    async explained(bench) {
      const machine = await bench.available()
      await machine.unplugBmc()
      await bench.until('the loss is noticed', async () => (await bench.node(machine)).fault === 'power failure')
      return bench.why(machine)
    },
  },
  changedAtRest(
    {
      name: 'bmc-password-changed',
      broken: 'somebody changes the password of the BMC while the node rests',
      cause: 'bmc-access-denied',
      names: /user name and password/,
    },
    ['redfish_password', 'not-this-one-any-more'],
  ),
  changedAtRest(
    {
      name: 'bmc-certificate-changed',
      broken: 'the BMC shows another certificate than the one that is pinned',
      cause: 'bmc-not-trusted',
      names: /certificate/,
    },
    ['redfish_tls_fingerprint', '00'.repeat(32)],
  ),
] satisfies BenchFault[]
