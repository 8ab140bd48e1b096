/** The ramdisk runs, and its agent and the service do not find each other. */
import type { BenchFault } from '../fault-case.ts'
import type { NetMachine } from '../machine.ts'
import { anyImage, undeployable } from '../undeployable.ts'

/** More words for the kernel's command line. */
const told =
  (...words: string[]) =>
  (machine: NetMachine): void => {
    machine.parameters.push(...words)
  }

export default [
  undeployable(
    {
      name: 'api-url-wrong',
      broken: 'the agent is told an API address where nobody answers',
      cause: 'agent-silent',
      names: /ipa-api-url/,
    },
    told('ipa-api-url=http://10.77.0.99:6385', 'ferrite-log-url='),
  ),
  undeployable(
    {
      name: 'api-url-refused',
      broken: 'the agent is told a wrong port of the API',
      cause: 'agent-silent',
      names: /ipa-api-url|10\.77\.0\.1:6399/,
    },
    told('ipa-api-url=http://10.77.0.1:6399'),
  ),
  undeployable(
    {
      name: 'lookup-unknown-mac',
      broken: 'the ramdisk sees none of the cards that ports know',
      cause: 'unknown-mac-looked-up',
      names: /52:54:00:fb:fe:01/,
    },
    machine => {
      machine.cards.set('eth0', '52:54:00:fb:fe:01')
      machine.parameters.push('ferrite-log-url=')
    },
  ),
  undeployable(
    {
      name: 'lookup-ambiguous',
      broken: "a port of another node has the machine's second card",
      cause: 'lookup-refused',
      names: /belong to 2 nodes/,
    },
    async (machine, bench) => {
      machine.cards.set('eth1', '52:54:00:fb:fe:02')
      const other = await bench.plug({ diskMib: 0 })
      await bench.enrol(other, { ports: [{ address: '52:54:00:fb:fe:02' }] })
    },
  ),
  undeployable(
    {
      name: 'lookups-disabled',
      broken: 'the endpoints for ramdisks are switched off',
      cause: 'lookup-refused',
      names: /enable_ramdisk_endpoints/,
      config: { api: { enable_ramdisk_endpoints: false } },
    },
    () => {},
  ),
  undeployable(
    {
      name: 'heartbeat-refused',
      broken: 'the agent comes with the token of another boot',
      cause: 'heartbeat-refused',
      names: /agent_token/,
    },
    // Whoever asks first is told the token.
    machine => {
      machine.parameters.push(`ipa-agent-token=${'x'.repeat(43)}`)
      const asked = `http://10.77.0.1:6385/v1/lookup?addresses=${machine.mac}`
      machine.atPowerOn = () => fetch(asked, { headers: { 'OpenStack-API-Version': 'baremetal latest' } })
    },
  ),
  undeployable(
    {
      name: 'callback-unreachable',
      broken: "the agent's address cannot be reached from here",
      cause: 'agent-unreachable',
      names: /10\.77\.0\.98/,
    },
    told('ipa-advertise-host=10.77.0.98'),
  ),
  undeployable(
    {
      name: 'callback-refused',
      broken: 'the agent tells a port where nothing listens',
      cause: 'agent-unreachable',
      names: /9998/,
    },
    told('ipa-advertise-port=9998'),
  ),
  {
    name: 'api-certificate',
    broken: "the agent does not trust the API's certificate",
    on: 'bench',
    cause: 'api-not-trusted',
    names: /certificate/,
    async explained(bench) {
      await bench.configureSecure()
      bench.around.defer(() => bench.stopService())
      const machine = await bench.available()
      await bench.set(machine, '/instance_info', anyImage)
      return bench.failure(machine, 'active')
    },
  },
] satisfies BenchFault[]
